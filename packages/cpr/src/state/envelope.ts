/**
 * The frame around everything that one VMM process leaves for another: magic, format version, length and checksum, so
 * that what was cut short, changed or never ours is told apart before any of it is believed.
 *
 * | offset | size | |
 * |---|---|---|
 * | 0 | 8 | magic |
 * | 8 | 4 | format version |
 * | 12 | 4 | CRC-32 of all bytes from 16 on |
 * | 16 | 8 | length of the whole in bytes |
 * | 24 | 8 | reserved, 0 |
 * | 32 | | contents |
 */
import { bytes, struct, u32, u64 } from "@vmm/libc";
import { CprError } from "../cpr-error.ts";

const Envelope = struct("vmm_envelope", {
  magic: bytes(8),
  version: u32,
  crc: u32,
  length: u64,
  reserved: u64,
});

/** Bytes in front of the contents. */
export const ENVELOPE_SIZE = Envelope.size;
const CRC_FROM = Envelope.offsets.length;

/** A kind of file: how it begins, and what it is called in messages. */
export interface FileFormat {
  /** 8 ASCII characters. */
  readonly magic: string;
  readonly version: number;
  /** Such as `saved state`. */
  readonly what: string;
  /** The largest whole in bytes. */
  readonly limit: number;
}

/** Fills in the frame of `whole`, whose contents from `ENVELOPE_SIZE` on are complete. */
export function sealEnvelope(format: FileFormat, whole: Uint8Array): void {
  if (whole.length > format.limit) {
    const sizes = `${whole.length} bytes, which is more than the limit of ${format.limit}`;
    throw new CprError("state-invalid", `the ${format.what} has ${sizes}`);
  }
  const envelope = Envelope.at(whole.buffer, whole.byteOffset);
  envelope.magic = Buffer.from(format.magic, "latin1");
  envelope.version = format.version;
  envelope.length = BigInt(whole.length);
  envelope.reserved = 0n;
  envelope.crc = Bun.hash.crc32(whole.subarray(CRC_FROM));
}

/**
 * Checks the frame.
 *
 * @returns The contents, in place.
 * @throws CprError `state-magic`, `state-version`, `state-truncated` or `state-corrupt`.
 */
export function openEnvelope(format: FileFormat, whole: Uint8Array): Uint8Array {
  const { magic, version, what } = format;
  const begin = Buffer.from(whole.subarray(0, magic.length)).toString("latin1");
  if (!magic.startsWith(begin) || begin.length === 0) {
    throw new CprError("state-magic", `this is not a ${what}: it does not begin with ${magic}`);
  }
  if (whole.length < ENVELOPE_SIZE) {
    throw new CprError(
      "state-truncated",
      `the ${what} is truncated: ${whole.length} bytes do not hold its header`,
    );
  }
  const envelope = Envelope.at(whole.buffer, whole.byteOffset);
  if (envelope.version !== version) {
    const versions = `format version ${envelope.version}, and this program reads version ${version}`;
    throw new CprError("state-version", `the ${what} has ${versions}: use the version that wrote it`);
  }
  const length = Number(envelope.length);
  if (whole.length < length) {
    throw new CprError(
      "state-truncated",
      `the ${what} is truncated: it has ${whole.length} of ${length} bytes`,
    );
  }
  if (whole.length > length) {
    throw new CprError(
      "state-corrupt",
      `the ${what} is damaged: ${whole.length} bytes, of which ${length} belong`,
    );
  }
  if (envelope.crc !== Bun.hash.crc32(whole.subarray(CRC_FROM))) {
    throw new CprError("state-corrupt", `the ${what} is damaged: its checksum does not fit`);
  }
  return whole.subarray(ENVELOPE_SIZE);
}

/**
 * The length in bytes that a frame's own header tells, for reading no more than that. It is not checked: `openEnvelope`
 * does that.
 *
 * @param header The first `ENVELOPE_SIZE` bytes.
 */
export function envelopeLength(header: Uint8Array): number {
  return Number(Envelope.at(header.buffer, header.byteOffset).length);
}
