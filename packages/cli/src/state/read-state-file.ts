/** Files with what one VMM left for another, told apart by their first bytes. */
import { gunzipSync } from "node:zlib";
import {
  type CprState,
  type DecodedState,
  decodeCprState,
  decodeState,
  ENVELOPE_SIZE,
  envelopeLength,
  type Json,
} from "@vmm/cpr";
import { type ByteSource, type RamRun, walkRam } from "@vmm/cpr/describe";
import { isSyscallError } from "@vmm/libc";
import { reasonOf, UsageError } from "../cli-error.ts";
import { FileSource, memorySource, readStart } from "./byte-source.ts";

/** A saved state, with the RAM that lies behind it. */
export interface OpenState {
  readonly type: "state";
  /** Bytes of the state, RAM not counted. */
  readonly size: number;
  readonly state: DecodedState;
  /** Pages of RAM that are in the file. */
  readonly runs: readonly RamRun[];
  /** What the runs' places are in. */
  readonly source: ByteSource;
}

export type OpenStateFile =
  | OpenState
  | { readonly type: "cpr-state"; readonly size: number; readonly state: CprState };

/** The largest state in bytes, and the largest file that is unpacked. */
const LIMIT = 256 << 20;

const GZIP = [0x1f, 0x8b];
const CPR_STATE = Buffer.from("VMMCPRST", "latin1");

const beginsWith = (bytes: Uint8Array, magic: ArrayLike<number>) =>
  bytes.length >= magic.length && Array.from(magic).every((byte, i) => bytes[i] === byte);

function unpack(file: ByteSource): ByteSource {
  if (!beginsWith(readStart(file, 2), GZIP)) return file;
  try {
    return memorySource(gunzipSync(readStart(file, LIMIT), { maxOutputLength: LIMIT }));
  } catch (cause) {
    throw new UsageError(`it is packed by gzip, but cannot be unpacked: ${reasonOf(cause)}`);
  }
}

function openFile(path: string, offset: number): FileSource {
  try {
    return new FileSource(path, offset);
  } catch (error) {
    const missing = isSyscallError(error, "ENOENT");
    throw new UsageError(missing ? `${path}: there is no such file` : `${path}: ${reasonOf(error)}`);
  }
}

/** The envelope says how long it is; what is too short to have one is told apart further on. */
function readEnvelope(source: ByteSource): Uint8Array {
  const head = readStart(source, ENVELOPE_SIZE);
  if (head.length < ENVELOPE_SIZE) return head;
  return readStart(source, Math.max(ENVELOPE_SIZE, Math.min(envelopeLength(head), LIMIT)));
}

function readRuns(source: ByteSource, { header }: DecodedState, at: number, isAlone: boolean): RamRun[] {
  const ram = header.ram ?? [];
  if (ram.some(({ place }) => place === "stream")) return [...walkRam(source, at, ram.length)];
  if (isAlone && at < source.size) {
    throw new UsageError(`the saved state is damaged: ${source.size - at} bytes follow its end`);
  }
  return [];
}

/**
 * Opens a saved state or CPR state, as it is or packed by gzip, and calls `use` with it while the file is open.
 *
 * @param offset Of the state within the file, in bytes.
 * @throws UsageError where the file cannot be read, or is neither: the message names the file and says how it is not.
 */
export function withStateFile<T>(path: string, offset: number, use: (file: OpenStateFile) => T): T {
  using file = openFile(path, offset);
  return use(parse(path, file, offset === 0));
}

/** A configuration is nested no deeper than this; each further step is a column more of all that is printed below it. */
const MAX_DEPTH = 32;

function isDeeper(value: Json, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((part) => isDeeper(part, depth - 1));
}

function parse(path: string, file: FileSource, isAlone: boolean): OpenStateFile {
  try {
    const source = unpack(file);
    const bytes = readEnvelope(source);
    const size = bytes.length;
    if (beginsWith(bytes, CPR_STATE)) return { type: "cpr-state", size, state: decodeCprState(bytes) };
    const state = decodeState(bytes);
    if (isDeeper(state.header.machine, MAX_DEPTH)) throw new UsageError("its header is nested too deeply");
    return { type: "state", size, state, source, runs: readRuns(source, state, size, isAlone) };
  } catch (error) {
    throw new UsageError(`${path}: ${reasonOf(error)}`);
  }
}
