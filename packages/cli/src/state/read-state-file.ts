/** Files with what one VMM left for another, told apart by their first bytes. */
import { gunzipSync } from "node:zlib";
import { type CprState, type DecodedState, decodeCprState, decodeState, readStateFile } from "@vmm/cpr";
import { SyscallError } from "@vmm/libc";
import { reasonOf, UsageError } from "../cli-error.ts";

export type StateFile =
  | { readonly type: "state"; readonly size: number; readonly state: DecodedState }
  | { readonly type: "cpr-state"; readonly size: number; readonly state: CprState };

/** The largest state in bytes, unpacked. */
const LIMIT = 256 << 20;

const GZIP = [0x1f, 0x8b];
const CPR_STATE = Buffer.from("VMMCPRST", "latin1");

const beginsWith = (bytes: Uint8Array, magic: ArrayLike<number>) =>
  bytes.length >= magic.length && Array.from(magic).every((byte, i) => bytes[i] === byte);

function unpack(bytes: Uint8Array): Uint8Array {
  if (!beginsWith(bytes, GZIP)) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: LIMIT });
  } catch (cause) {
    throw new UsageError(`it is packed by gzip, but cannot be unpacked: ${reasonOf(cause)}`);
  }
}

function read(path: string, offset: number): Uint8Array {
  try {
    return readStateFile(path, offset);
  } catch (error) {
    const { cause } = error as Error;
    const missing = cause instanceof SyscallError && cause.code === "ENOENT";
    throw new UsageError(missing ? `${path}: there is no such file` : reasonOf(error));
  }
}

/**
 * Reads a saved state or CPR state, as it is or packed by gzip.
 *
 * @param offset Of the state within the file, in bytes.
 * @throws UsageError where the file cannot be read, or is neither: the message names the file and says how it is not.
 */
export function openStateFile(path: string, offset = 0): StateFile {
  const packed = read(path, offset);
  try {
    const bytes = unpack(packed);
    const size = bytes.length;
    if (beginsWith(bytes, CPR_STATE)) return { type: "cpr-state", size, state: decodeCprState(bytes) };
    return { type: "state", size, state: decodeState(bytes) };
  } catch (error) {
    throw new UsageError(`${path}: ${reasonOf(error)}`);
  }
}
