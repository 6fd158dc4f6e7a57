import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { UndoLog } from "@vmm/cpr";
import { accept4, fdPath, openFds, SOCK_CLOEXEC, SOCK_NONBLOCK } from "@vmm/libc";
import { ChardevFixture, Peer, until } from "../../test/chardev-fixture.ts";
import type { ChardevConfig } from "../config/vm-config.ts";
import { listenUnix } from "../reactor/index.ts";
import { openChardev } from "./open-chardev.ts";
import { openIncoming } from "./open-incoming.ts";
import { roleIn, rolesOf } from "./role.ts";

/** A chardev on the path `host` whose guest comes in. */
function fixture(backend: "file" | "unix") {
  const f = new ChardevFixture((ring, context) => openChardev(config, ring, { ...context, incoming: true }));
  const path = `${f.folder}/host`;
  const config: ChardevConfig = { id: "serial0", backend, path };
  const undo = new UndoLog();
  const bring = (chardevs: Record<string, string> = {}) => openIncoming([config], { chardevs }, f.fds, undo);
  return Object.assign(f, { path, undo, bring });
}

/** Whether an fd of this process is on the file that /proc calls so. */
function isOpen(file: string): boolean {
  return openFds().some((fd) => {
    try {
      return fdPath(fd) === file;
    } catch {
      // one of Bun's own that was closed since it was listed
      return false;
    }
  });
}

describe("a file of a guest that comes in", () => {
  test("keeps what it holds, also what somebody else writes meanwhile", async () => {
    await using f = fixture("file");
    writeFileSync(f.path, "old ");
    f.bring();
    f.start();
    f.guest.print("one ");
    await until(() => readFileSync(f.path, "utf8") === "old one ", "the first line");
    writeFileSync(f.path, "other ", { flag: "a" });
    f.guest.print("two");
    await until(() => readFileSync(f.path, "utf8") === "old one other two", "the second line");
  });

  test("is opened when the guest is there, where that comes later", async () => {
    await using f = fixture("file");
    writeFileSync(f.path, "old ");
    const { guest, context } = f;
    const waiting = openChardev({ id: "serial0", backend: "file", path: f.path }, guest.ring, context);
    f.bring();
    waiting.start();
    guest.print("new");
    await until(() => readFileSync(f.path, "utf8") === "old new", "the output");
    waiting.close();
  });
});

describe("a socket of a guest that comes in", () => {
  test("listens where it listened, and refuses to be the client of another that does", async () => {
    await using f = fixture("unix");
    const other = listenUnix(f.path);
    const problem = `chardev serial0: ${f.path} is in use: another process listens there; for another: vmm start`;
    for (const roles of [{ serial0: "server" }, { serial0: "nonsense" }])
      expect(() => f.bring(roles)).toThrow(problem);
    // an older state, which does not tell
    expect(() => openIncoming([{ id: "serial0", backend: "unix", path: f.path }], {}, f.fds, f.undo)).toThrow(
      problem,
    );
    expect([f.fds.size, f.undo.pending]).toEqual([0, []]);
    f.close(f.own(other));
    f.bring({ serial0: "server" });
    f.start();
    expect(f.chardev.info().filename).toBe(`disconnected:unix:${f.path},server=on`);
    expect(rolesOf([f.chardev])).toEqual({ serial0: "server" });
  });

  test("is a client where it was one, and never listens in place of who is gone", async () => {
    await using f = fixture("unix");
    const refused = `nobody listens at ${f.path}, where it was a client`;
    expect(() => f.bring({ serial0: "client" })).toThrow(refused);
    expect(existsSync(f.path)).toBe(false);
    const listener = f.own(listenUnix(f.path));
    f.bring({ serial0: "client" });
    f.start();
    expect(rolesOf([f.chardev])).toEqual({ serial0: "client" });
    const server = new Peer(f.own(accept4(listener, SOCK_CLOEXEC | SOCK_NONBLOCK) as number));
    f.guest.print("out");
    await until(() => server.text === "out", "output");
    f.close(server.fd);
    f.close(listener);
    await until(() => f.chardev.info().filename === `disconnected:unix:${f.path}`, "the hangup");
    await f.replaceProcess();
    expect(f.chardev.info().filename).toBe(`disconnected:unix:${f.path}`);
  });

  test("is what it can be, where the guest had none before", async () => {
    await using f = fixture("unix");
    f.own(listenUnix(f.path));
    f.bring({});
    f.start();
    expect(f.chardev.info().filename).toBe(`unix:${f.path}`);
  });

  test("is given back where the guest cannot go on", async () => {
    await using f = fixture("unix");
    f.bring({ serial0: "server" });
    const socket = fdPath(f.fds.findFd("serial0.listen") as number);
    expect([existsSync(f.path), isOpen(socket)]).toEqual([true, true]);
    expect(f.undo.unwind()).toEqual([]);
    expect([existsSync(f.path), isOpen(socket), f.fds.size]).toEqual([false, false, 0]);
  });
});

test("a role is told by the state's header, whatever else may be there", () => {
  expect(roleIn({ chardevs: { a: "client", b: "server" } }, "a")).toBe("client");
  expect(roleIn({ chardevs: { a: "client", b: "server" } }, "b")).toBe("server");
  expect(roleIn({ chardevs: {} }, "toString")).toBeUndefined();
  for (const chardevs of [null, 7, "client", []]) expect(roleIn({ chardevs }, "a")).toBe("server");
});
