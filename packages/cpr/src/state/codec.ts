/**
 * A saved state as bytes: an envelope, an index in JSON that describes every record down to its fields, and the records'
 * bytes. Whoever has the file can read it, whatever wrote it; the owners' rules decide what can be loaded.
 *
 * Contents: the index's length (u32), the index, then each record's data in the order of the index, each at a multiple
 * of 16 bytes from the start of the contents.
 *
 * The index: `{ header, schemas: [{ kind, version, compat, fields: [[name, type, offset, size]] }],
 * records: [[name, index of its schema, length]] }`.
 */
import { faultPoint } from "../fault.ts";
import { JsonChecker } from "../json-check.ts";
import { ENVELOPE_SIZE, type FileFormat, openEnvelope, sealEnvelope } from "./envelope.ts";
import { checkHeader, type StateHeader } from "./header.ts";
import { readIndex, type StateIndex } from "./read-index.ts";
import type { SavedRecord } from "./record.ts";
import { MAX_STATE, shapeBytes } from "./shape.ts";

const FORMAT: FileFormat = { magic: "VMMSTATE", version: 1, what: "saved state", limit: MAX_STATE };

const ALIGN = 16;
const align = (offset: number) => Math.ceil(offset / ALIGN) * ALIGN;

const check = new JsonChecker("state-invalid", "the saved state");

/** The parts of an index, one behind the other. */
function indexParts(header: StateHeader, records: readonly SavedRecord[]): readonly Uint8Array[] {
  return [Buffer.from(`{"header":${JSON.stringify(header)},`), shapeBytes(records), Buffer.from("}")];
}

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Writes a state.
 *
 * @param room Gives the memory for a state of so many bytes, whatever is in it; it is on the heap where there is none.
 * @throws CprError `state-invalid` above 256 MiB.
 */
export function encodeState(
  header: StateHeader,
  records: readonly SavedRecord[],
  room: (length: number) => Bytes | undefined = () => undefined,
): Bytes {
  const index = indexParts(header, records);
  const indexLength = index.reduce((sum, part) => sum + part.length, 0);
  const length = records.reduce((end, { data }) => align(end) + data.length, 4 + indexLength);
  const size = ENVELOPE_SIZE + length;
  const whole = room(size) ?? new Uint8Array(new ArrayBuffer(size));
  const contents = whole.subarray(ENVELOPE_SIZE);
  new DataView(contents.buffer, contents.byteOffset).setUint32(0, indexLength, true);
  let end = 4;
  for (const part of index) {
    contents.set(part, end);
    end += part.length;
  }
  for (const { data } of records) {
    faultPoint("save-record");
    const at = align(end);
    contents.fill(0, end, at);
    contents.set(data, at);
    end = at + data.length;
  }
  sealEnvelope(FORMAT, whole);
  return whole;
}

export interface DecodedState {
  readonly header: StateHeader;
  /** Their `data` are views of the bytes that were decoded. */
  readonly records: readonly SavedRecord[];
}

/**
 * Reads a state.
 *
 * @throws CprError `state-*`: each way in which the bytes are not a state that this program reads has its own message.
 */
export function decodeState(whole: Uint8Array): DecodedState {
  const contents = openEnvelope(FORMAT, whole);
  const { header, records: shapes, end: indexEnd } = openIndex(contents);
  let end = indexEnd;
  const records = shapes.map(({ name, schema, length }): SavedRecord => {
    const at = align(end);
    end = at + length;
    if (end > contents.length) check.fail(`record "${name}"`, "as long as it should be");
    const { kind, version, compat, fields } = schema;
    return { name, kind, version, compat, fields, data: contents.subarray(at, end) };
  });
  return { header: checkHeader(header), records };
}

function openIndex(contents: Uint8Array): StateIndex & { readonly end: number } {
  const length =
    contents.length < 4 ? -1 : Buffer.from(contents.buffer, contents.byteOffset, 4).readUInt32LE();
  if (length < 0 || 4 + length > contents.length) check.fail("the index", "there");
  const end = 4 + length;
  return { ...readIndex(contents.subarray(4, end)), end };
}
