/** What QEMU's emulation breaks now and then by itself (docs/testing.md): never twice in a row, so one of ours shows. */
import { LabError } from "./errors.ts";

/**
 * Runs what has a guest in the lab, and once more where the lab or the guest was reset.
 *
 * @param what Names it in the line that says so.
 * @param run Runs it in a lab of its own.
 * @param wasReset Whether its guest was.
 */
export async function onceMoreIfReset<T>(
  what: string,
  run: () => Promise<T>,
  wasReset: (result: T) => boolean,
): Promise<T> {
  const first = await unlessLabReset(run);
  if (first && !wasReset(first.result)) return first.result;
  console.error(`${what}: ${first ? "the guest was reset" : "the lab was reset"}; once more`);
  const second = await unlessLabReset(run);
  if (!second) throw new Error("the lab was reset twice in a row");
  return second.result;
}

/** undefined where the lab itself was reset. */
async function unlessLabReset<T>(run: () => Promise<T>): Promise<{ result: T } | undefined> {
  try {
    return { result: await run() };
  } catch (error) {
    if (error instanceof LabError && error.code === "died") return undefined;
    throw error;
  }
}
