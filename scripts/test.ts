/**
 * Runs every test there is, in order: lint, type check, unit tests, tests on this host, tests in the lab.
 *
 * Usage: bun scripts/test.ts [--only lint|check|unit|host|lab]...
 *
 * Ends with the line `N passed, N failed, N skipped`. Exit status: 0 if nothing failed, 1 if something did, 2 for
 * arguments it does not know.
 */
import { parseArgs } from "node:util";
import { PART_NAMES, PARTS, type PartName } from "./test-runner/parts.ts";
import { runPart } from "./test-runner/run-part.ts";
import { type PartResult, summary } from "./test-runner/summary.ts";

const names = chosenParts();
const results: PartResult[] = [];
for (const name of names) {
  const part = PARTS[name];
  console.log(`\n== ${part.title}`);
  const start = performance.now();
  const outcome = await runPart(part);
  results.push({ title: part.title, outcome, seconds: (performance.now() - start) / 1000 });
}
console.log(`\n${summary(results)}`);
process.exitCode = results.some(({ outcome }) => outcome.failed.length > 0) ? 1 : 0;

/** The parts that the arguments name, in the order they run; all of them without arguments. */
function chosenParts(): PartName[] {
  try {
    const { only } = parseArgs({ options: { only: { type: "string", multiple: true } } }).values;
    const unknown = only?.find((name) => !PART_NAMES.includes(name as PartName));
    if (unknown !== undefined) throw new Error(`--only ${unknown}: is none of ${PART_NAMES.join(", ")}`);
    return only ? PART_NAMES.filter((name) => only.includes(name)) : PART_NAMES;
  } catch (error) {
    console.error(`test: ${(error as Error).message}`);
    process.exit(2);
  }
}
