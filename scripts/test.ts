/**
 * Runs every test there is, in order: lint, type check, unit tests, tests on this host, tests in the lab.
 *
 * Usage: bun scripts/test.ts [--only lint|check|unit|host|lab]... [FOLDER or FILE]...
 *
 * Folders and files name the tests to run in place of all parts; paths are relative to the root of the checkout.
 *
 * Ends with the line `N passed, N failed, N skipped`. Exit status: 0 if nothing failed, 1 if something did, 2 for
 * arguments it does not know.
 */
import { parseArgs } from "node:util";
import { chosenPart, PART_NAMES, PARTS, type Part, type PartName } from "./test-runner/parts.ts";
import { runPart } from "./test-runner/run-part.ts";
import { type PartResult, summary } from "./test-runner/summary.ts";

const results: PartResult[] = [];
for (const part of chosenParts()) {
  console.log(`\n== ${part.title}`);
  const start = performance.now();
  const outcome = await runPart(part);
  results.push({ title: part.title, outcome, seconds: (performance.now() - start) / 1000 });
}
console.log(`\n${summary(results)}`);
process.exitCode = results.some(({ outcome }) => outcome.failed.length > 0) ? 1 : 0;

/** The parts that the arguments name, in the order they run; all of them without arguments. */
function chosenParts(): Part[] {
  try {
    const { values, positionals } = parseArgs({
      options: { only: { type: "string", multiple: true } },
      allowPositionals: true,
    });
    const only = values.only ?? (positionals.length > 0 ? [] : PART_NAMES);
    const unknown = only.find((name) => !PART_NAMES.includes(name as PartName));
    if (unknown !== undefined) throw new Error(`--only ${unknown}: is none of ${PART_NAMES.join(", ")}`);
    const named = PART_NAMES.filter((name) => only.includes(name)).map((name) => PARTS[name]);
    const paths = positionals.map((path) => path.replace(/^\.\//, "").replace(/\/+$/, ""));
    return paths.length > 0 ? [...named, chosenPart(paths)] : named;
  } catch (error) {
    console.error(`test: ${(error as Error).message}`);
    process.exit(2);
  }
}
