/** Processes that a test file has left behind, found by a variable that all its descendants inherit. */
import { readdirSync, readFileSync } from "node:fs";

const MARK = "TEST_FILE_MARK";
/** Time for what is ending already, in ms. */
const GRACE_MS = 3_000;
const LOOK_EVERY_MS = 20;

export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/** The environment for a test file and all that it starts. @param mark One of a kind. */
export function markedEnvironment(mark: string): Record<string, string | undefined> {
  return { ...process.env, [MARK]: mark };
}

/** Kills what still runs with the mark after a short while, and tells what that was. */
export async function endLeftovers(mark: string): Promise<Leftover[]> {
  const deadline = performance.now() + GRACE_MS;
  let found = marked(mark);
  while (found.length > 0 && performance.now() < deadline) {
    await Bun.sleep(LOOK_EVERY_MS);
    found = marked(mark);
  }
  for (const { pid } of found) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
  return found;
}

function marked(mark: string): Leftover[] {
  const variable = `${MARK}=${mark}`;
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      if (!readFileSync(`/proc/${name}/environ`, "latin1").split("\0").includes(variable)) return [];
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      return [{ pid: Number(name), command }];
    } catch {
      // It has ended, or is another user's.
      return [];
    }
  });
}
