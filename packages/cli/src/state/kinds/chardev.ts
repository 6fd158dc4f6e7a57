import type { DescribedField, RecordReader } from "@vmm/cpr/describe";
import { bytesOf, integerOf } from "./fields.ts";

/** What a ring holds between two positions; `undefined` where it cannot hold that much. */
function unroll(ring: Uint8Array, from: bigint, to: bigint): Uint8Array | undefined {
  const length = Number(to - from);
  if (ring.length === 0 || length < 0 || length > ring.length) return undefined;
  const at = Number(from % BigInt(ring.length));
  const text = new Uint8Array(length);
  const first = ring.subarray(at, Math.min(at + length, ring.length));
  text.set(first);
  text.set(ring.subarray(0, length - first.length), first.length);
  return text;
}

/** The rings of a chardev as the text that is in them: what the guest printed, and what it has yet to read. */
export const readChardev: RecordReader = (_record, fields) => {
  const [tx, rx] = [bytesOf(fields, "tx"), bytesOf(fields, "rx")];
  const position = (name: string) => integerOf(fields, name) ?? -1n;
  if (!tx || !rx || position("written") < 0n || position("consumed") < 0n) return undefined;
  const written = position("written");
  const size = BigInt(tx.length);
  const output = unroll(tx, written > size ? written - size : 0n, written);
  const input = unroll(rx, position("consumed"), position("received"));
  if (!output || !input) return undefined;
  const text = (name: string, bytes: Uint8Array): DescribedField => ({
    name,
    value: { type: "text", bytes },
  });
  return [
    ...fields.filter(({ name }) => name !== "tx" && name !== "rx"),
    text("output", output),
    text("input", input),
  ];
};
