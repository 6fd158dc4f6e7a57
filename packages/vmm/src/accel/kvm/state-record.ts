/** KVM's state as records: each structure the kernel gives is one record, named after its owner and the structure. */
import type { SavedRecord } from "@vmm/cpr";
import { faultPoint } from "@vmm/cpr/incoming";
import type { FieldInfo, Fields, Layout } from "@vmm/libc";
import { VmmError } from "../../vmm-error.ts";

/** A record whose fields are those of the kernel's structure. */
export function structRecord<F extends Fields>(
  owner: string,
  kind: string,
  layout: Layout<F>,
  bytes: Uint8Array,
): SavedRecord {
  return { name: `${owner}/${kind}`, kind, version: 1, compat: 1, fields: layout.fields, data: bytes };
}

/** By their length: records that are alike share their list of fields. */
const opaqueFields = new Map<number, readonly FieldInfo[]>();

/** A record of bytes that only the kernel understands, whose length the host's features decide. */
export function opaqueRecord(owner: string, kind: string, bytes: Uint8Array): SavedRecord {
  const size = bytes.length;
  const fields = opaqueFields.get(size) ?? [{ name: "data", type: `u8[${size}]`, offset: 0, size }];
  opaqueFields.set(size, fields);
  return { name: `${owner}/${kind}`, kind, version: 1, compat: 1, fields, data: bytes };
}

/**
 * The bytes of a saved record, in a buffer of their own.
 *
 * @param size The size it must have, where the structure fixes it.
 * @throws VmmError `state` where the record is missing, of another kind, of another version or of another size.
 */
export function savedBytes(
  records: ReadonlyMap<string, SavedRecord>,
  owner: string,
  kind: string,
  size?: number,
): Uint8Array {
  faultPoint("load-record");
  const name = `${owner}/${kind}`;
  const record = records.get(name);
  if (!record) throw new VmmError("state", `saved state has no record "${name}"`);
  if (record.kind !== kind) throw new VmmError("state", `record "${name}" is of another kind`);
  if (record.version !== 1 && record.compat > 1) {
    throw new VmmError("state", `record "${name}" has version ${record.version}; this VMM knows version 1`);
  }
  if (size !== undefined && record.data.length !== size) {
    throw new VmmError("state", `record "${name}" has ${record.data.length} bytes instead of ${size}`);
  }
  return new Uint8Array(record.data);
}

/**
 * The bytes of a saved record that is a list: a structure that begins with the number of entries (u32), and the entries
 * behind it. KVM believes the number, and reads as far as that.
 *
 * @param layout Sizes of the structure and of an entry, in bytes.
 * @throws VmmError `state` as `savedBytes`, and where the number is not that of the entries.
 */
export function savedList(
  records: ReadonlyMap<string, SavedRecord>,
  owner: string,
  kind: string,
  layout: { readonly header: number; readonly entry: number },
): Uint8Array {
  const bytes = savedBytes(records, owner, kind);
  if (bytes.length >= layout.header) {
    const count = new DataView(bytes.buffer).getUint32(0, true);
    if (layout.header + count * layout.entry === bytes.length) return bytes;
  }
  throw new VmmError("state", `record "${owner}/${kind}" does not have the length that its entries need`);
}
