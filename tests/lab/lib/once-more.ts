/** What QEMU's emulation breaks now and then by itself (docs/testing.md): never twice in a row, so one of ours shows. */
import { LabError } from "./errors.ts";

/**
 * Runs what has a guest in the lab, and once more where the lab died or the guest was lost.
 *
 * @param what Names it in the line that says so.
 * @param run Runs it in a lab of its own.
 * @param wasLost Whether its guest was.
 */
export async function onceMoreIfLost<T>(
  what: string,
  run: () => Promise<T>,
  wasLost: (result: T) => boolean,
): Promise<T> {
  const first = await unlessDied(run);
  if ("result" in first && !wasLost(first.result)) return first.result;
  console.error(`${what}: ${"result" in first ? "the guest was lost" : first.died.message}; once more`);
  const second = await unlessDied(run);
  if ("result" in second) return second.result;
  throw new Error(`twice in a row: ${second.died.message}\n${second.died.details}`);
}

async function unlessDied<T>(run: () => Promise<T>): Promise<{ result: T } | { died: LabError }> {
  try {
    return { result: await run() };
  } catch (error) {
    if (error instanceof LabError && error.code === "died") return { died: error };
    throw error;
  }
}
