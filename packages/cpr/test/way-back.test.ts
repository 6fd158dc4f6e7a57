/** What an old program finds that is run again: nothing of what was around the new one. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Toy, toyCommand } from "./toy.ts";

interface ToySurroundings {
  readonly variables: Record<string, string>;
  readonly folder?: string;
  readonly umask: number;
  readonly limits: { name: string; soft: number | null; hard: number | null }[];
}

const asRoot = process.getuid?.() === 0;
const setpriv = Bun.which("setpriv");

/** A wrapper that changes all that there is around the toy, which then cannot load. */
const CHANGES = "export LEFTOVER=1; unset KEPT; ulimit -S -c 0; umask 0; cd /";
const wrapped = (changes: string, fault: string) => [
  ...["sh", "-c", `${changes}; exec "$@"`, "sh"],
  ...toyCommand("--fault", fault),
];

/** Kills the keeper, which is a child of the process that a wrapper runs in, and waits until it has closed all fds. */
const KILL_KEEPER = `
for child in $(cat /proc/$$/task/$$/children); do
  grep -q keeper/main.ts /proc/$child/cmdline || continue
  kill -9 $child
  # the shell may have reaped it
  until [ ! -e /proc/$child/status ] || grep -q "^State:.Z" /proc/$child/status; do :; done
  until [ $(ls /proc/$child/task | wc -l) -le 1 ]; do :; done
done`;

let folder: string;
let toy: Toy;
beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), "way-back-"));
  toy = new Toy(["sh", "-c", 'cd "$0"; umask 027; exec "$@"', folder, ...toyCommand()], { KEPT: "a=b\nc" });
});
afterEach(async () => {
  await toy.end();
  rmSync(folder, { recursive: true, force: true });
});

const around = () => toy.ask<ToySurroundings>("surroundings");

describe("the old program finds what it had around it", () => {
  for (const [fault, samePid] of [
    ["load-throw", true],
    ["load-kill", false],
  ] as const) {
    test(`(${fault}) and nothing of what a wrapper made of it`, async () => {
      const [{ pid }, before] = [await toy.info(), await around()];
      expect(before).toMatchObject({ folder, umask: 0o027, variables: { KEPT: "a=b\nc" } });
      const after = await toy.update(wrapped(CHANGES, fault));
      expect([after.status, after.pid === pid]).toEqual(["failed", samePid]);
      expect(await around()).toEqual(before);
      expect((await toy.update(toyCommand())).status).toBe("completed");
      expect(await around()).toEqual(before);
    });

    test(`(${fault}) but for its folder, where that has been removed`, async () => {
      const after = await toy.update(wrapped(`rmdir ${folder}`, fault));
      expect(after.status).toBe("failed");
      expect((await around()).folder).toBe("/");
    });
  }

  test("and the folder where that has been moved", async () => {
    await toy.update(wrapped(`mv ${folder} ${folder}-moved; mkdir ${folder}; cd /`, "load-throw"));
    expect((await around()).folder).toBe(`${folder}-moved`);
    rmdirSync(`${folder}-moved`);
  });
});

describe.skipIf(asRoot && !setpriv)("a limit that cannot be raised again (as root needs setpriv)", () => {
  /** A wrapper without the right to raise a hard limit. */
  const unprivileged = (words: string[]) =>
    asRoot ? ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource", ...words] : words;

  test("is why the keeper runs the old program, in a process that has it still", async () => {
    const [{ pid }, before] = [await toy.info(), await around()];
    const after = await toy.update(unprivileged(wrapped("ulimit -n 500", "load-throw")));
    expect(after["error-desc"]).toContain("fault at load; and the old VMM cannot be run again here: ");
    expect(after["error-desc"]).toMatch(/setrlimit NOFILE to \d+:\d+: EPERM/);
    expect(after.pid).not.toBe(pid);
    expect(await around()).toEqual(before);
  });

  test("stays as it is where there is no keeper any more", async () => {
    const { pid } = await toy.info();
    const after = await toy.update(unprivileged(wrapped(`${KILL_KEEPER}; ulimit -n 500`, "load-throw")));
    expect([after.status, after.pid]).toEqual(["failed", pid]);
    expect((await around()).limits.find(({ name }) => name === "NOFILE")?.hard).toBe(500);
    expect(toy.stderr).toContain("the old VMM runs in other surroundings now: setrlimit NOFILE");
  });
});
