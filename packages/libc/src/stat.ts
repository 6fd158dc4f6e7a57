/** What an fd is: type, size, identity, path, and which fds this process has. */
import { check, checkFd } from "./check.ts";
import { close, open } from "./fd.ts";
import { i64, struct, u32, u64 } from "./layout.ts";
import { libc } from "./libc.ts";
import { Timespec } from "./time.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  UTIME_NOW,
  UTIME_OMIT,
} from "./uapi/fcntl.ts";

/** `struct stat` of x86-64 (`asm/stat.h`). */
export const Stat = struct(
  "stat",
  {
    st_dev: u64,
    st_ino: u64,
    st_nlink: u64,
    st_mode: u32,
    st_uid: u32,
    st_gid: u32,
    __pad0: u32,
    st_rdev: u64,
    st_size: i64,
    st_blksize: i64,
    st_blocks: i64,
    st_atim: Timespec.type,
    st_mtim: Timespec.type,
  },
  { size: 144 },
);

const kinds = {
  [S_IFREG]: "file",
  [S_IFDIR]: "directory",
  [S_IFCHR]: "character device",
  [S_IFBLK]: "block device",
  [S_IFIFO]: "pipe",
  [S_IFSOCK]: "socket",
  [S_IFLNK]: "symlink",
} as const;

/** `anonymous` has no file type at all: eventfds, epoll, KVM and VFIO fds. */
export type FdKind = (typeof kinds)[keyof typeof kinds] | "anonymous";

export interface FdStat {
  /** With `ino`, the identity of the file: equal for two fds that are the same file. */
  readonly dev: bigint;
  readonly ino: bigint;
  /** Type and permissions, as in st_mode. */
  readonly mode: number;
  /** The owner. */
  readonly uid: number;
  /** Device number of a device node. */
  readonly rdev: bigint;
  /** Size in bytes. */
  readonly size: number;
  /** When its contents were changed last, in ns since 1970. */
  readonly modifiedNs: bigint;
  readonly kind: FdKind;
}

const NS_PER_S = 1_000_000_000n;

export function fstat(fd: number): FdStat {
  const stat = Stat.alloc();
  checkFd("fstat", libc.fstat(fd, stat.$view), fd);
  const mode = stat.st_mode;
  return {
    dev: stat.st_dev,
    ino: stat.st_ino,
    mode,
    uid: stat.st_uid,
    rdev: stat.st_rdev,
    size: Number(stat.st_size),
    modifiedNs: stat.st_mtim.tv_sec * NS_PER_S + stat.st_mtim.tv_nsec,
    kind: (kinds as Record<number, FdKind>)[mode & S_IFMT] ?? "anonymous",
  };
}

/** Sets a file's permissions. Of a socket that is not yet bound: those of the file that `bindUnix` will make. */
export function fchmod(fd: number, mode: number): void {
  checkFd("fchmod", libc.fchmod(fd, mode), fd);
}

/**
 * Sets the time at which a file's contents were changed last.
 *
 * @param ns Since 1970, which only the owner may say; the present time where left out.
 */
export function setModified(fd: number, ns?: bigint): void {
  const [seconds, rest] = ns === undefined ? [0n, UTIME_NOW] : [ns / NS_PER_S, ns % NS_PER_S];
  // two struct timespec: of the access, of the change
  const times = BigInt64Array.of(0n, ns === undefined ? UTIME_NOW : UTIME_OMIT, seconds, rest);
  checkFd("futimens", libc.futimens(fd, times), fd);
}

/** Sets the size of a file in bytes. */
export function ftruncate(fd: number, length: number): void {
  checkFd("ftruncate", libc.ftruncate(fd, length), fd);
}

/** PATH_MAX of `linux/limits.h`. */
const PATH_MAX = 4096;

/** What the fd is called in /proc: a path, `/memfd:ram (deleted)`, `socket:[123]`, `anon_inode:kvm-vm`. */
export function fdPath(fd: number): string {
  const target = Buffer.alloc(PATH_MAX);
  const n = check("readlink", libc.readlink(`/proc/self/fd/${fd}`, target, PATH_MAX), `fd ${fd}`);
  return target.toString("utf8", 0, n);
}

/** This process's open fds, ascending. */
export function openFds(): number[] {
  const directory = open("/proc/self/fd", O_DIRECTORY | O_CLOEXEC);
  const fds: number[] = [];
  try {
    // struct linux_dirent64: ino, off, u16 record length at 16, u8 type, then the name.
    const entries = Buffer.alloc(16 * 1024);
    for (;;) {
      const n = checkFd("getdents64", libc.getdents64(directory, entries, entries.length), directory);
      if (n === 0) break;
      for (let at = 0; at < n; at += entries.readUInt16LE(at + 16)) {
        const fd = Number(entries.toString("latin1", at + 19, entries.indexOf(0, at + 19)));
        if (Number.isInteger(fd) && fd !== directory) fds.push(fd);
      }
    }
  } finally {
    close(directory);
  }
  return fds.sort((a, b) => a - b);
}
