import { expect, test } from "bun:test";
import { openFds } from "@vmm/libc";
import { newFds } from "@vmm/libc/testing";
import { checkHeadroom } from "./headroom.ts";

test("what a VM needs is there for a moment, and nothing of it is left", () => {
  const before = openFds();
  checkHeadroom(4);
  expect(newFds(before)).toEqual([]);
});

const PRLIMIT = Bun.which("prlimit");
const CHECK = `import { checkHeadroom } from ${JSON.stringify(`${import.meta.dir}/headroom.ts`)};
try { checkHeadroom(1); console.log("fits"); } catch (error) { console.log(error.message); }`;

/** What the check says in a process with a limit, perhaps of another user: root may have as many threads as it likes. */
function saidUnder(limit: string, as: readonly string[] = []): string {
  const command = [PRLIMIT as string, limit, ...as, process.execPath, "-e", CHECK];
  const { stdout, stderr } = Bun.spawnSync(command, { cwd: "/" });
  return stdout.toString().trim() || stderr.toString();
}

const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const HAS_NOBODY =
  PRLIMIT &&
  process.getuid?.() === 0 &&
  Bun.which("setpriv") &&
  saidUnder("--nproc=4096:4096", NOBODY) === "fits";

test.skipIf(!PRLIMIT)("a limit that is too low is told, with what to do (needs prlimit)", () => {
  expect(saidUnder("--nofile=4096:4096")).toBe("fits");
  expect(saidUnder("--nofile=14:14")).toBe(
    "15 more open files are needed to run the guest: raise the limit (ulimit -n)",
  );
});

test.skipIf(!HAS_NOBODY)("so is one of threads (needs prlimit, root and setpriv)", () => {
  expect(saidUnder("--nproc=8:8", NOBODY)).toBe(
    "6 more threads are needed to run the guest: raise the limit (ulimit -u)",
  );
});
