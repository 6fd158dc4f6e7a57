/** How this very program is run again: from its sources, or as the executable into which it was built. */

/** Paths within an executable that Bun built begin with this. */
const EMBEDDED = "/$bunfs/";

/** Whether this process runs from an executable of its own instead of from `bun` and a file. */
export const isCompiled = (): boolean => Bun.main.startsWith(EMBEDDED);

/** The words that run this program; its own arguments come after. */
export function selfCommand(): string[] {
  if (isCompiled()) return [process.execPath];
  // nothing of the folder in which the user happens to be becomes part of the VM
  return [process.execPath, "--no-env-file", "--no-install", Bun.main];
}
