/** What an fd is, so that a new process can tell whether the number still means what it meant. */
import { type FdStat, fdPath, fstat } from "@vmm/libc";
import { CprError } from "./cpr-error.ts";

/** `device` is a device node, `anonymous` a kernel object without a file of its own, such as a VFIO device. */
export type PreservedFdKind =
  | "memfd"
  | "file"
  | "directory"
  | "device"
  | "socket"
  | "pipe"
  | "eventfd"
  | "timerfd"
  | "epoll"
  | "pidfd"
  | "anonymous";

export interface FdIdentity {
  readonly kind: PreservedFdKind;
  /** st_dev and st_ino in decimal: they are 64-bit numbers. Kernel objects without a file share one inode. */
  readonly dev: string;
  readonly ino: string;
  /** Size in bytes of a memfd; -1 of everything else, since other files may grow. */
  readonly size: number;
}

const ANONYMOUS: Readonly<Record<string, PreservedFdKind>> = {
  "anon_inode:[eventfd]": "eventfd",
  "anon_inode:[timerfd]": "timerfd",
  "anon_inode:[eventpoll]": "epoll",
  "anon_inode:[pidfd]": "pidfd",
};

function kindOf(fd: number, stat: FdStat): PreservedFdKind {
  if (stat.kind === "socket" || stat.kind === "pipe" || stat.kind === "directory") return stat.kind;
  if (stat.kind === "character device" || stat.kind === "block device") return "device";
  const path = fdPath(fd);
  if (stat.kind === "file" && path.startsWith("/memfd:")) return "memfd";
  // pidfs gives pidfds regular-file inodes and the path `pidfd:[N]` or, in most versions, the anonymous name.
  return (
    ANONYMOUS[path] ?? (path.startsWith("pidfd:") ? "pidfd" : stat.kind === "file" ? "file" : "anonymous")
  );
}

/**
 * Looks at an open fd.
 *
 * @throws SyscallError EBADF where it is not open.
 */
export function identifyFd(fd: number): FdIdentity {
  const stat = fstat(fd);
  const kind = kindOf(fd, stat);
  const size = kind === "memfd" ? stat.size : -1;
  return { kind, dev: String(stat.dev), ino: String(stat.ino), size };
}

/** An fd with its name in the table and what it was when it was written down. */
export interface PreservedFd extends FdIdentity {
  readonly name: string;
  readonly id: number;
  readonly fd: number;
}

const label = ({ name, id }: PreservedFd) => (id === 0 ? `"${name}"` : `"${name}" (id ${id})`);

/**
 * Checks that a preserved fd is open and still the same object.
 *
 * @throws CprError `fd-missing` where it is not open, `fd-kind` where it is something else.
 */
export function checkPreservedFd(saved: PreservedFd): void {
  let now: FdIdentity;
  try {
    now = identifyFd(saved.fd);
  } catch (cause) {
    throw new CprError("fd-missing", `preserved fd ${saved.fd}, ${label(saved)}, is not open`, { cause });
  }
  if (now.kind !== saved.kind) {
    const was = `preserved fd ${saved.fd}, ${label(saved)}, was a ${saved.kind}`;
    throw new CprError("fd-kind", `${was} and is a ${now.kind} now`);
  }
  if (now.dev !== saved.dev || now.ino !== saved.ino) {
    throw new CprError("fd-kind", `preserved fd ${saved.fd}, ${label(saved)}, is another ${now.kind} now`);
  }
  if (now.size !== saved.size) {
    const sizes = `had ${saved.size} bytes and has ${now.size} now`;
    throw new CprError("fd-kind", `preserved fd ${saved.fd}, ${label(saved)}, ${sizes}`);
  }
}
