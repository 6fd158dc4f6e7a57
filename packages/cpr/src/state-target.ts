/** The place that a user named for a state, looked at before anything is put there. */
import {
  access,
  close,
  type FdStat,
  fdPath,
  fstat,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  open,
  W_OK,
} from "@vmm/libc";
import { CprError } from "./cpr-error.ts";
import type { RamBlock } from "./host.ts";

const refusal = (path: string, why: string) =>
  new CprError("save", `cannot save the state to ${path}: ${why}`);

interface Found extends FdStat {
  /** Where symlinks lead to. */
  readonly real: string;
}

/** What is at the path. `undefined`: nothing, or nothing that can be looked at, which tells itself when it is opened. */
function lookAt(path: string, flags = 0): Found | undefined {
  let fd: number;
  try {
    fd = open(path, O_PATH | O_CLOEXEC | flags);
  } catch {
    return undefined;
  }
  try {
    return { ...fstat(fd), real: fdPath(fd) };
  } finally {
    close(fd);
  }
}

/** The folder that a path is in. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : path.slice(0, slash) || "/";
}

/** A file is made in a folder, also where it takes the place of another. */
function checkFolder(path: string, real: string): void {
  const folder = folderOf(real);
  if (lookAt(folder)?.kind !== "directory") throw refusal(path, `there is no folder ${folder}`);
  if (!access(folder, W_OK)) throw refusal(path, `this process may not make files in ${folder}`);
}

/** A file that a state can take the place of, by its real path; or a path at which there is nothing. */
export interface StateTarget {
  readonly path: string;
  readonly exists: boolean;
}

/**
 * Where a state that is to have a file of its own goes: a symlink stays, and what it leads to is replaced.
 *
 * @throws CprError `save` where something else than a file is there, such as a device.
 */
export function stateTarget(path: string): StateTarget {
  const found = lookAt(path);
  if (!found) {
    if (lookAt(path, O_NOFOLLOW)?.kind === "symlink")
      throw refusal(path, "it is a symlink that leads nowhere");
    return { path, exists: false };
  }
  if (found.kind !== "file") throw refusal(path, `it is a ${found.kind}, not a file`);
  return { path: found.real, exists: true };
}

/**
 * Refuses what no state can be written to, before anything has happened.
 *
 * @param offset In bytes. With one the state goes into whatever is there, a device among others.
 * @param ram The machine's: the guest must not lose it to its own state.
 * @throws CprError `save`
 */
export function checkStateTarget(path: string, offset: number, ram: readonly RamBlock[]): void {
  const found = lookAt(path);
  for (const { name, fd } of found ? ram : []) {
    if (fd === undefined) continue;
    const { dev, ino } = fstat(fd);
    if (found?.dev === dev && found.ino === ino)
      throw refusal(path, `it holds the guest's RAM "${name}"; give another file`);
  }
  if (offset === 0) checkFolder(path, stateTarget(path).path);
  else if (!found) checkFolder(path, path);
}
