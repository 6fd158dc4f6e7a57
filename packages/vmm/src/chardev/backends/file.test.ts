import { describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { O_CLOEXEC, O_NONBLOCK, O_RDONLY, open } from "@vmm/libc";
import { ChardevFixture, Peer, until } from "../../../test/chardev-fixture.ts";
import { TX_SIZE } from "../char-ring.ts";
import { FileChardev } from "./file.ts";

function fixture(pathOf = (folder: string) => `${folder}/out`) {
  const f = new ChardevFixture((ring, context) => new FileChardev(ring, context, pathOf(context.folder)));
  return Object.assign(f, { path: pathOf(f.folder) });
}

const makeFifo = (path: string) => Bun.spawnSync(["mkfifo", path]);

describe("output to a file", () => {
  test("replaces what the file held, and only its owner can read a new one", async () => {
    await using f = fixture();
    writeFileSync(f.path, "something old and long");
    f.start();
    f.guest.print("new");
    await until(() => readFileSync(f.path, "utf8") === "new", "the output");
    f.chardev.close();
    await using g = fixture();
    g.start();
    expect(statSync(g.path).mode & 0o7777).toBe(0o600);
    expect(g.chardev.info().filename).toBe("file");
  });

  test("goes on in the same file after the process was replaced", async () => {
    await using f = fixture();
    f.start();
    f.guest.print("one ");
    await f.replaceProcess();
    f.guest.print("two");
    await until(() => readFileSync(f.path, "utf8") === "one two", "both");
  });

  test("holds the guest back while a FIFO's reader is slow, and loses nothing", async () => {
    await using f = fixture();
    makeFifo(f.path);
    const reader = new Peer(f.own(open(f.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)));
    f.start();
    const output = new Uint8Array(4 * TX_SIZE).map((_, i) => 97 + (i % 23));
    let printed = 0;
    // the pipe takes 64 KiB, the ring as much, then the port is busy
    await until(() => {
      printed += f.guest.print(output.subarray(printed));
      return printed >= 2 * TX_SIZE;
    }, "a full pipe and a full ring");
    expect(f.guest.ring.canWrite()).toBe(false);
    const events = f.guest.events;
    let text = "";
    await until(() => {
      text = reader.text;
      printed += f.guest.print(output.subarray(printed));
      return text.length === output.length;
    }, "all of the output");
    expect(text).toBe(Buffer.from(output).toString("latin1"));
    expect(f.guest.events).toBeGreaterThan(events);
  });

  test("refuses a FIFO that nobody reads, without waiting", async () => {
    await using f = fixture();
    makeFifo(f.path);
    expect(() => f.start()).toThrow("ENXIO");
    expect(() => f.start()).toThrow("a FIFO needs a reader first");
  });

  test("refuses a folder that does not exist, and names the chardev", async () => {
    await using f = fixture((folder) => `${folder}/no/such/file`);
    expect(() => f.start()).toThrow(/^chardev serial0: open .*\/no\/such\/file: ENOENT/);
    expect(f.fds.size).toBe(0);
  });

  test("lets the guest run on where the disk is full, and says so once", async () => {
    await using f = fixture(() => "/dev/full");
    f.start();
    await f.guest.printAll(new Uint8Array(3 * TX_SIZE));
    await until(() => f.guest.ring.undrained === 0, "the output to be taken");
    expect(f.warnings).toHaveLength(1);
    expect(f.warnings[0]).toContain("chardev serial0: output is discarded from now on: /dev/full: write");
    expect(f.warnings[0]).toContain("ENOSPC");
  });
});
