/** Waiting for what other processes do. */
const PATIENCE_MS = 10_000;

/** Waits until it holds. @throws where it never does. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never ${what}`);
    await Bun.sleep(5);
  }
}
