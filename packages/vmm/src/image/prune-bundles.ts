import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

/** So many images of a program are kept besides those in use: each takes 105 MB. */
const KEEP = 3;
/** Younger ones are kept in any case: somebody may be about to start them (ms). */
const MIN_AGE_MS = 600_000;

/** The command lines of this host's processes, as far as we may see them. */
function commandLines(): string {
  let all = "";
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      all += readFileSync(`/proc/${pid}/cmdline`, "latin1");
    } catch {
      // It has ended, or is not ours to see.
    }
  }
  return all;
}

/**
 * Removes the program's old bundles, all but the newest few, and what builds that were killed left behind. A bundle that
 * a process runs from stays: its VM needs it when an update fails.
 */
export function pruneBundles(root: string, program: string, current: string, now: number = Date.now()): void {
  const mine = new RegExp(`^\\.?${program}-[0-9a-f-]+(\\.json)?$`);
  const candidates = readdirSync(root)
    .filter((name) => mine.test(name) && name !== current)
    .map((name) => ({ name, changed: statSync(join(root, name), { throwIfNoEntry: false })?.mtimeMs ?? now }))
    .sort((a, b) => b.changed - a.changed);
  const abandoned = candidates.filter(({ name }) => name.startsWith("."));
  const old = candidates.filter(({ name }) => !name.startsWith(".")).slice(KEEP - 1);
  const removable = [...abandoned, ...old].filter(({ changed }) => now - changed > MIN_AGE_MS);
  if (removable.length === 0) return;
  const running = commandLines();
  for (const { name } of removable) {
    if (!running.includes(join(root, name))) rmSync(join(root, name), { recursive: true, force: true });
  }
}
