/** Folders of this user: the root of the running VMs, and that of each VM. */
import { close, fstat, isSyscallError, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, open } from "@vmm/libc";

/** Who runs this process. */
export const ownUid = (): number => process.getuid?.() ?? 0;

export interface OwnFolder {
  /** To be closed by whoever asked. */
  readonly fd: number;
  /** Permissions, as in st_mode. */
  readonly mode: number;
}

/**
 * Opens a folder by itself, so that what is done in it by the fd is done there and nowhere else.
 *
 * @returns `foreign` for another user's, and for what is no folder, such as a link to one.
 */
export function openOwnFolder(path: string, uid: number = ownUid()): OwnFolder | "none" | "foreign" {
  let fd: number;
  try {
    fd = open(path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  } catch (error) {
    if (isSyscallError(error, "ENOENT")) return "none";
    if (isSyscallError(error, "ENOTDIR", "ELOOP", "EACCES")) return "foreign";
    throw error;
  }
  const { uid: owner, mode } = fstat(fd);
  if (owner === uid) return { fd, mode };
  close(fd);
  return "foreign";
}

/** Whether there is a folder at the path that is this user's, and no link to one. */
export function isOwnFolder(path: string): boolean {
  const folder = openOwnFolder(path);
  if (typeof folder === "string") return false;
  close(folder.fd);
  return true;
}
