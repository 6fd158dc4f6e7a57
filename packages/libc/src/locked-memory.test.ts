import { expect, test } from "bun:test";
import { join } from "node:path";

const PROGRAM = `
import { lockedMemory, lockedMemoryLimit, setrlimit } from ${JSON.stringify(join(import.meta.dir, "index.ts"))};
import { dlopen } from "bun:ffi";
const { mlock } = dlopen("libc.so.6", { mlock: { args: ["buffer", "usize"], returns: "int" } }).symbols;
setrlimit("MEMLOCK", { soft: 1 << 21, hard: 1 << 21 });
const before = lockedMemory();
const memory = new Uint8Array(1 << 20);
const status = mlock(memory, memory.length);
const limit = lockedMemoryLimit();
console.log(JSON.stringify({ status, grown: lockedMemory() - before, limit: limit === Infinity ? "none" : limit }));
`;

async function run(...wrapper: string[]): Promise<{ status: number; grown: number; limit: number | string }> {
  const child = Bun.spawn([...wrapper, process.execPath, "-e", PROGRAM], { stdout: "pipe" });
  return JSON.parse(await child.stdout.text());
}

const SETPRIV = Bun.which("setpriv");

test("what is locked is told in bytes", async () => {
  const { status, grown } = await run();
  expect(status).toBe(0);
  // whole pages, of which the memory may begin in the midst of one
  expect(grown).toBeGreaterThanOrEqual(1 << 20);
  expect(grown).toBeLessThanOrEqual((1 << 20) + 4096);
});

test.skipIf(!SETPRIV || process.getuid?.() !== 0)(
  "the limit holds for who has no capability to exceed it (needs root and setpriv)",
  async () => {
    expect((await run()).limit).toBe("none");
    const drop = [SETPRIV as string, "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"];
    expect((await run(...drop)).limit).toBe(1 << 21);
  },
);
