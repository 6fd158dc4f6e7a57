import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readJunit } from "./junit.ts";
import { endLeftovers, markedEnvironment } from "./leftovers.ts";
import { emptyOutcome, type Outcome } from "./outcome.ts";
import { type Part, ROOT } from "./parts.ts";

const ENDING = ".test.ts";

const EMPTY_REPORT = { outcome: emptyOutcome(), files: new Set<string>() } as const;

/** A test that says nothing of its time has this: on a busy machine even a short one may take a while. */
const TEST_TIMEOUT_MS = 30_000;

/** How long a part may take to end itself after SIGTERM. In milliseconds. */
const GRACE_MS = 10_000;

/** Runs one part in the folder `root`, its output going where this process's goes. */
export async function runPart(part: Part, root = ROOT): Promise<Outcome> {
  const { title, run, limit } = part;
  return "command" in run
    ? await runCommand(title, [...run.command], limit, root)
    : await runTests(part, run.paths, root);
}

/** A command is one test: it passes if it exits with 0. */
async function runCommand(title: string, command: string[], limit: number, root: string): Promise<Outcome> {
  const problem = await runToEnd(command, limit, root);
  return problem ? failure(`${title}: ${problem}`) : { ...emptyOutcome(), passed: 1 };
}

/**
 * Runs the test files in these places, each by a `bun test` of its own: so a file that crashes or hangs is one failure,
 * and none sees what another has left.
 */
async function runTests(
  { title, limit, fileLimit = limit }: Part,
  paths: readonly string[],
  root: string,
): Promise<Outcome> {
  const files = testFiles(paths, root);
  if (files.length === 0) return failure(`${title}: no tests in ${paths.join(", ")}`);
  const scratch = await mkdtemp(join(tmpdir(), "vmm-tests-"));
  try {
    const deadline = performance.now() + limit * 1000;
    const outcomes: Outcome[] = [];
    for (const [i, file] of files.entries()) {
      const left = Math.min((deadline - performance.now()) / 1000, fileLimit);
      outcomes.push(await runFile(file, join(scratch, `${i}.xml`), left, root));
    }
    return sum(outcomes);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function runFile(file: string, report: string, limit: number, root: string): Promise<Outcome> {
  if (limit <= 0) return failure(`${file}: not run, since the time for this part is over`);
  const options = [`--timeout=${TEST_TIMEOUT_MS}`, "--reporter=junit", `--reporter-outfile=${report}`];
  const command = [process.execPath, "test", ...options, `./${file}`];
  const problem = await runToEnd(command, limit, root, markedEnvironment(report));
  const outcome = await readOutcome(file, report, problem);
  const left = await endLeftovers(report);
  // One that failed could not clean up.
  if (outcome.failed.length === 0) {
    outcome.failed.push(
      ...left.map(({ pid, command }) => `${file}: left process ${pid} running: ${command}`),
    );
  }
  return outcome;
}

async function readOutcome(file: string, report: string, problem: string | undefined): Promise<Outcome> {
  const xml = Bun.file(report);
  const { outcome, files } = (await xml.exists()) ? readJunit(await xml.text()) : EMPTY_REPORT;
  // A file that does not load is not in its own report.
  if (!files.has(file)) return failure(`${file}: ${problem ?? "told nothing of its tests"}`);
  if (problem && outcome.failed.length === 0) outcome.failed.push(`${file}: ${problem}`);
  return outcome;
}

function sum(outcomes: readonly Outcome[]): Outcome {
  return {
    passed: outcomes.reduce((total, { passed }) => total + passed, 0),
    failed: outcomes.flatMap(({ failed }) => failed),
    skipped: outcomes.flatMap(({ skipped }) => skipped),
  };
}

function failure(name: string): Outcome {
  return { ...emptyOutcome(), failed: [name] };
}

/** @param paths Folders, or test files themselves. */
function testFiles(paths: readonly string[], root: string): string[] {
  const files = paths.flatMap((path) =>
    path.endsWith(ENDING) ? [path] : [...new Bun.Glob(`${path}/**/*${ENDING}`).scanSync(root)],
  );
  return files.filter((file) => !file.includes("node_modules/")).sort();
}

/** Runs a command to its end, or to the limit in seconds; tells what went wrong, if anything did. */
async function runToEnd(
  command: string[],
  limit: number,
  cwd: string,
  env: Record<string, string | undefined> = process.env,
): Promise<string | undefined> {
  const child = Bun.spawn(command, { cwd, env, stdio: ["ignore", "inherit", "inherit"] });
  let isOver = false;
  const terminate = setTimeout(() => {
    isOver = true;
    child.kill("SIGTERM");
  }, limit * 1000);
  const kill = setTimeout(() => child.kill("SIGKILL"), limit * 1000 + GRACE_MS);
  await child.exited;
  clearTimeout(terminate);
  clearTimeout(kill);
  if (isOver) return `not done after ${Math.ceil(limit)} s`;
  if (child.signalCode) return `ended by ${child.signalCode}`;
  return child.exitCode === 0 ? undefined : `exit status ${child.exitCode}`;
}
