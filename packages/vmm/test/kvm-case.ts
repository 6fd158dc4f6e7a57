/**
 * Runs one case of a test program and prints its result as JSON: `bun kvm-case.ts FILE CASE`. A program of its own, so
 * that no VM lives in the process of `bun test`, and a guest that hangs can be ended.
 */
import { join } from "node:path";

const [file = "", name = ""] = Bun.argv.slice(2);
const cases = (await import(join(import.meta.dir, file))) as Record<string, () => unknown>;
const run = cases[name];
if (!run) throw new Error(`${file} has no case "${name}"`);
const result = await run();
console.log(
  JSON.stringify(result, (_, value) => (typeof value === "bigint" ? `0x${value.toString(16)}` : value)),
);
// Workers may still be there
process.exit(0);
