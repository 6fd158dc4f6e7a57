import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readJunit } from "./junit.ts";
import { emptyOutcome, type Outcome } from "./outcome.ts";
import { type Part, ROOT } from "./parts.ts";

/** How long a part may take to end itself after SIGTERM. In milliseconds. */
const GRACE_MS = 10_000;

/** Runs one part in the folder `root`, its output going where this process's goes. */
export async function runPart({ title, run, limit }: Part, root = ROOT): Promise<Outcome> {
  return "command" in run
    ? await runCommand(title, [...run.command], limit, root)
    : await runTests(title, run.folders, limit, root);
}

/** A command is one test: it passes if it exits with 0. */
async function runCommand(title: string, command: string[], limit: number, root: string): Promise<Outcome> {
  const problem = await runToEnd(command, limit, root);
  return problem ? failure(`${title}: ${problem}`) : { ...emptyOutcome(), passed: 1 };
}

/**
 * Runs the tests in these folders by `bun test`, and counts them by its report.
 *
 * A file that does not load is not in the report at all, so each test file that the report lacks is a failure of its
 * own; and a run that went wrong is never without one.
 */
async function runTests(
  title: string,
  folders: readonly string[],
  limit: number,
  root: string,
): Promise<Outcome> {
  const scratch = await mkdtemp(join(tmpdir(), "vmm-tests-"));
  try {
    const report = join(scratch, "junit.xml");
    const options = ["--reporter=junit", `--reporter-outfile=${report}`];
    const paths = folders.map((folder) => `./${folder}`);
    const problem = await runToEnd([process.execPath, "test", ...options, ...paths], limit, root);
    if (!(await Bun.file(report).exists())) return failure(`${title}: ${problem ?? "no report"}`);

    const { outcome, files } = readJunit(await Bun.file(report).text());
    const unheard = testFiles(folders, root).filter((file) => !files.has(file));
    outcome.failed.push(...unheard.map((file) => `${file}: did not load`));
    if (problem && outcome.failed.length === 0) outcome.failed.push(`${title}: ${problem}`);
    return outcome;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function failure(name: string): Outcome {
  return { ...emptyOutcome(), failed: [name] };
}

function testFiles(folders: readonly string[], root: string): string[] {
  const files = folders.flatMap((folder) => [...new Bun.Glob(`${folder}/**/*.test.ts`).scanSync(root)]);
  return files.filter((file) => !file.includes("node_modules/")).sort();
}

/** Runs a command to its end, or to the limit in seconds; tells what went wrong, if anything did. */
async function runToEnd(command: string[], limit: number, cwd: string): Promise<string | undefined> {
  const child = Bun.spawn(command, { cwd, stdio: ["ignore", "inherit", "inherit"] });
  let isOver = false;
  const terminate = setTimeout(() => {
    isOver = true;
    child.kill("SIGTERM");
  }, limit * 1000);
  const kill = setTimeout(() => child.kill("SIGKILL"), limit * 1000 + GRACE_MS);
  await child.exited;
  clearTimeout(terminate);
  clearTimeout(kill);
  if (isOver) return `not done after ${limit} s`;
  if (child.signalCode) return `ended by ${child.signalCode}`;
  return child.exitCode === 0 ? undefined : `exit status ${child.exitCode}`;
}
