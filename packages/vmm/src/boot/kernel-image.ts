/** A kernel's file as its parsers see it: all of it in memory, or only the parts of the file that they ask for. */
import { close, E, fstat, O_CLOEXEC, O_NONBLOCK, O_RDONLY, open, preadAll, SyscallError } from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";

export interface KernelImage {
  /** For messages. */
  readonly path: string;
  /** Size in bytes. */
  readonly size: number;
  /** A range that the caller has found to be inside the file. */
  read(offset: number, length: number): DataView;
}

/** The largest kernel and initrd that are read, in bytes. */
export const MAX_KERNEL_SIZE = 1 << 30;
export const MAX_INITRD_SIZE = 3 * (1 << 30);

/** An error whose message begins with the file it is about, such as `kernel /boot/vmlinuz: is empty`. */
export function imageError(what: "kernel" | "initrd", path: string, problem: string): VmmError {
  // A message is one line, whatever the path.
  const name = /\p{Cc}/u.test(path) ? JSON.stringify(path) : path;
  return new VmmError("kernel-image", `${what} ${name}: ${problem}`);
}

export const kernelError = (path: string, problem: string): VmmError => imageError("kernel", path, problem);

/** The image in memory. */
export function imageOf(path: string, bytes: Uint8Array): KernelImage {
  return {
    path,
    size: bytes.length,
    read: (offset, length) => new DataView(bytes.buffer, bytes.byteOffset + offset, length),
  };
}

/** Opens a regular file that is not empty and not above `limit` bytes, and closes it after `use`. */
export function withFile<T>(
  what: "kernel" | "initrd",
  path: string,
  limit: number,
  use: (file: KernelImage) => T,
): T {
  const fd = openForReading(what, path);
  try {
    const { kind, size } = fstat(fd);
    if (kind !== "file") throw imageError(what, path, `is a ${kind}; give a file`);
    if (size === 0) throw imageError(what, path, "is empty");
    if (size > limit) throw imageError(what, path, `has ${size} bytes; at most ${limit} can be loaded`);
    const read = (offset: number, length: number): DataView => {
      const view = new DataView(new ArrayBuffer(length));
      if (preadAll(fd, view, offset) < length) throw imageError(what, path, "shrank while it was read");
      return view;
    };
    return use({ path, size, read });
  } finally {
    close(fd);
  }
}

function openForReading(what: "kernel" | "initrd", path: string): number {
  try {
    // Opening a pipe for reading would wait for a writer.
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno === E.ENOENT) throw imageError(what, path, "no such file");
    if (error.errno === E.EACCES) throw imageError(what, path, "permission denied; it must be readable");
    throw imageError(what, path, `cannot be opened: ${error.message}`);
  }
}
