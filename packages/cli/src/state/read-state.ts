import { type DecodedState, decodeState } from "@vmm/cpr";
import { readFile, SyscallError } from "@vmm/libc";
import { reasonOf, UsageError } from "../cli-error.ts";

/** The largest state, in bytes. */
const LIMIT = 256 << 20;

/** @throws UsageError where the file is not there, or is not a saved state. */
export function readState(path: string): DecodedState {
  let bytes: Uint8Array;
  try {
    bytes = readFile(path, LIMIT);
  } catch (error) {
    const missing = error instanceof SyscallError && error.code === "ENOENT";
    throw new UsageError(missing ? `${path}: there is no such file` : reasonOf(error));
  }
  try {
    return decodeState(bytes);
  } catch (error) {
    throw new UsageError(`${path}: ${reasonOf(error)}`);
  }
}
