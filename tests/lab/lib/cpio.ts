/** What an archive holds: a folder, a file, a symbolic link or a character device, by its mode. */
export interface CpioEntry {
  /** Without a leading slash. */
  path: string;
  /** File type and permissions, as in `st_mode`. */
  mode: number;
  /** A file's bytes, or a link's target. */
  data?: Uint8Array;
  /** Major and minor number of a device. */
  device?: readonly [major: number, minor: number];
}

/** File types of `st_mode`, from `<linux/stat.h>`. */
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;

/** The format's fields are eight hexadecimal digits. */
const MAX_FILE_BYTES = 0xffffffff;

/** Fills up to the next multiple of four, as names with their header and data are. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

function member(entry: CpioEntry, inode: number): Buffer[] {
  const data = Buffer.from(entry.data ?? []);
  if (data.length > MAX_FILE_BYTES) throw new RangeError(`${entry.path}: too large for a cpio archive`);
  const name = Buffer.from(`${entry.path}\0`);
  const [major, minor] = entry.device ?? [0, 0];
  const owner = [0, 0];
  const links = 1;
  const time = 0;
  const onDevice = [0, 0];
  const checksum = 0;
  const fields = [inode, entry.mode, ...owner, links, time, data.length, ...onDevice, major, minor];
  const header = [...fields, name.length, checksum].map((field) => field.toString(16).padStart(8, "0"));
  return [padded(Buffer.concat([Buffer.from(`070701${header.join("")}`), name])), padded(data)];
}

/**
 * An archive in the "newc" format, which the kernel unpacks as an initramfs. Folders come before what
 * is in them. Times are 0 and owners root, so that the same entries give the same bytes.
 *
 * @see https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer<ArrayBuffer> {
  const trailer: CpioEntry = { path: "TRAILER!!!", mode: 0 };
  return Buffer.concat([...entries, trailer].flatMap((entry, i) => member(entry, i + 1)));
}
