/** Where a file has data and where it has holes. */
import { errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";
import { SEEK_DATA, SEEK_HOLE } from "./uapi/fcntl.ts";

/** Data that a file holds, from `start` bytes up to `end`. */
export interface DataRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The first range of data at or after `offset`; the file position moves.
 *
 * A file system that knows no holes gives the rest of the file.
 *
 * @returns undefined where nothing but a hole is left.
 */
export function nextData(fd: number, offset: number): DataRange | undefined {
  const start = libc.lseek(fd, offset, SEEK_DATA);
  if (start === -1) {
    const error = errno();
    if (error === E.ENXIO) return undefined;
    throw new SyscallError("lseek", error, `data of fd ${fd} from ${offset} on`);
  }
  const end = libc.lseek(fd, start, SEEK_HOLE);
  if (end === -1) throw new SyscallError("lseek", errno(), `hole of fd ${fd} from ${start} on`);
  return { start, end };
}
