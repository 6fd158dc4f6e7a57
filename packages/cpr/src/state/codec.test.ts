import { describe, expect, test } from "bun:test";
import { struct, u8, u32 } from "@vmm/libc";
import fc from "fast-check";
import { CprError } from "../cpr-error.ts";
import { decodeState, encodeState } from "./codec.ts";
import { sealEnvelope } from "./envelope.ts";
import type { StateHeader } from "./header.ts";
import type { SavedRecord } from "./record.ts";

const header: StateHeader = {
  writer: "0.1.0",
  mode: "cpr-exec",
  running: true,
  stoppedMonotonicNs: 123_456_789_012_345,
  stoppedBoottimeNs: 223_456_789_012_345,
  stoppedRealtimeNs: 1_800_000_000_000_000_000,
  bootId: "1d6f9c0e-0000-4000-8000-000000000001",
  machine: { name: "vm0", cpus: 2 },
};

const Uart = struct("uart", { ier: u8, lcr: u8, divisor: u32 });

const record = (name: string, data: Uint8Array): SavedRecord => ({
  name,
  kind: "uart-16550",
  version: 3,
  compat: 2,
  fields: Uart.fields,
  data,
});

const small = () =>
  encodeState(header, [record("serial0", Uart.of({ ier: 5, lcr: 3, divisor: 0x01020304 }).$bytes)]);

function codeOf(bytes: Uint8Array): string {
  try {
    decodeState(bytes);
  } catch (error) {
    if (!(error instanceof CprError)) throw error;
    expect(error.message).not.toContain("\n");
    return error.code;
  }
  return "loaded";
}

describe("a saved state", () => {
  test("comes back as it was written", () => {
    const { header: back, records } = decodeState(small());
    expect(back).toEqual(header);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({ name: "serial0", kind: "uart-16550", version: 3, compat: 2 });
    expect(records[0]?.fields).toEqual(Uart.fields);
    expect([...(records[0]?.data ?? [])]).toEqual([5, 3, 0, 0, 4, 3, 2, 1]);
  });

  test("holds any records, of any length", () => {
    const wild = fc.uniqueArray(
      fc.record({
        name: fc.string({ minLength: 1, maxLength: 60, unit: "binary" }),
        data: fc.uint8Array({ maxLength: 200 }),
        kind: fc.string({ minLength: 1, maxLength: 20 }),
        version: fc.integer({ min: 1, max: 1000 }),
      }),
      { selector: ({ name }) => name, maxLength: 20 },
    );
    fc.assert(
      fc.property(wild, (parts) => {
        const records = parts.map((part) => ({ ...part, compat: part.version, fields: [] }));
        const back = decodeState(encodeState(header, records)).records;
        expect(back.map(({ data, ...rest }) => ({ ...rest, data: [...data] }))).toEqual(
          records.map(({ data, ...rest }) => ({ ...rest, data: [...data] })),
        );
      }),
      { numRuns: 25 },
    );
  });

  test("is written and read by itself, whatever was written and read before", () => {
    const fields = [Uart.fields, [], [{ name: "a", type: "u8", offset: 0, size: 1 }]];
    const state = fc.record({
      // few of each, so that one state often looks like the one before, or nearly so
      writer: fc.constantFrom("1", '","schemas":[]'),
      records: fc.uniqueArray(
        fc.record({
          name: fc.constantFrom("a", "b"),
          kind: fc.constantFrom("k", "l"),
          version: fc.constantFrom(1, 2),
          fields: fc.constantFrom(...fields),
          data: fc.uint8Array({ minLength: 8, maxLength: 9 }),
        }),
        { selector: ({ name }) => name, maxLength: 2 },
      ),
    });
    fc.assert(
      fc.property(fc.array(state, { minLength: 2, maxLength: 12 }), (states) => {
        for (const { writer, records: parts } of states) {
          const written = { ...header, writer };
          const records = parts.map((part) => ({ ...part, compat: 1 }));
          const back = decodeState(encodeState(written, records));
          expect(back.header).toEqual(written);
          expect(back.records.map((record) => ({ ...record, data: Uint8Array.from(record.data) }))).toEqual(
            records,
          );
        }
      }),
    );
  });

  test("is read as it is where another one was before, in the same memory", () => {
    const named = (name: string) =>
      encodeState(header, [{ name, kind: "k", version: 1, compat: 1, fields: [], data: new Uint8Array(8) }]);
    const memory = Buffer.from(named("aa"));
    expect(decodeState(memory).records.map(({ name }) => name)).toEqual(["aa"]);
    memory.set(named("bb"));
    expect(decodeState(memory).records.map(({ name }) => name)).toEqual(["bb"]);
  });

  test("cut short at any length is refused as truncated", () => {
    const whole = small();
    for (let length = 1; length < whole.length; length++) {
      expect([length, codeOf(whole.slice(0, length))]).toEqual([length, "state-truncated"]);
    }
    expect(codeOf(new Uint8Array(0))).toBe("state-magic");
  });

  test("with any one byte changed, in any way, is refused", () => {
    const whole = small();
    const codes = new Map<number, string>();
    for (let at = 0; at < whole.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const changed = whole.slice();
        changed[at] = (changed[at] as number) ^ flip;
        codes.set(at, codeOf(changed));
        expect([at, codes.get(at)]).not.toEqual([at, "loaded"]);
      }
    }
    expect(codes.get(0)).toBe("state-magic");
    expect(codes.get(8)).toBe("state-version");
    expect(codes.get(whole.length - 1)).toBe("state-corrupt");
  });

  test("with bytes behind its end is refused", () => {
    expect(codeOf(Buffer.concat([small(), new Uint8Array(1)]))).toBe("state-corrupt");
  });

  /** A state with an index of one's own, whose frame is good. */
  function forgeText(index: string): Uint8Array {
    const text = Buffer.from(index);
    const whole = new Uint8Array(32 + 4 + text.length);
    new DataView(whole.buffer).setUint32(32, text.length, true);
    whole.set(text, 36);
    sealEnvelope({ magic: "VMMSTATE", version: 1, what: "saved state", limit: 1 << 20 }, whole);
    return whole;
  }
  const forge = (index: unknown) => forgeText(JSON.stringify(index));

  test("whose index ends as the one before did is refused where it begins wrongly", () => {
    const rest = '"schemas":[],"records":[]}';
    const head = JSON.stringify(header);
    const good = `{"header":${head},${rest}`;
    for (const bad of [
      `{,${rest}`,
      `,${rest}`,
      rest,
      `{"header":${head}},${rest}`,
      `{"header":${head},,${rest}`,
      `{"header":${head.slice(0, -1)},${rest}`,
      `{"header":{"a":${head},${rest}`,
      `{"header":"${rest}`,
      `[{"header":${head},${rest}`,
      `{"other":${head},${rest}`,
    ]) {
      expect(codeOf(forgeText(good))).toBe("loaded");
      expect([bad, codeOf(forgeText(bad))]).toEqual([bad, "state-invalid"]);
    }
    expect(codeOf(forgeText(`{"header":1,"header":${head},${rest}`))).toBe("loaded");
    // the last of several entries counts, in whatever order they come
    const twice = `{"header":${head},${rest.slice(0, -1)},"header":2}`;
    for (let i = 0; i < 2; i++) expect(codeOf(forgeText(twice))).toBe("state-invalid");
  });

  test("whose checksum fits, but whose index lies, is refused without a crash", () => {
    const schemas = [{ kind: "k", version: 1, compat: 1, fields: [["a", "u32", 0, 4]] }];
    expect(codeOf(forge({ header, schemas, records: [] }))).toBe("loaded");
    for (const index of [
      null,
      [],
      {},
      { schemas, records: [] },
      { header, schemas, records: [["r", 0, 4]] },
      { header, schemas, records: [["r", 1, 0]] },
      { header, schemas, records: [["r", 0, -1]] },
      { header, schemas, records: [["r", 0, 0]] },
      { header, schemas: [{ kind: "k" }], records: [] },
      { header: { ...header, mode: "cpr-magic" }, schemas, records: [] },
    ]) {
      expect([index, codeOf(forge(index))]).toEqual([index, "state-invalid"]);
    }
  });

  test("whose fields overlap, or are more than anybody has, is refused", () => {
    const schema = (fields: unknown) => ({ kind: "k", version: 1, compat: 1, fields });
    const two = schema([
      ["a", "u16", 0, 2],
      ["b", "u16", 0, 2],
    ]);
    expect(codeOf(forge({ header, schemas: [two], records: [["r", 0, 2]] }))).toBe("state-invalid");
    const fields = Array.from({ length: 4096 }, (_, i) => ({
      name: `f${i}`,
      type: "u8",
      offset: 0,
      size: 0,
    }));
    const many = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ ...record(`r${i}`, new Uint8Array(1)), fields }));
    expect(codeOf(encodeState(header, many(64)))).toBe("loaded");
    expect(codeOf(encodeState(header, many(65)))).toBe("state-invalid");
  });

  test("of any wild bytes behind a good frame is refused or read, never a crash", () => {
    const format = { magic: "VMMSTATE", version: 1, what: "saved state", limit: 1 << 20 };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (contents) => {
        const whole = new Uint8Array(32 + contents.length);
        whole.set(contents, 32);
        sealEnvelope(format, whole);
        expect(codeOf(whole)).toBe("state-invalid");
      }),
    );
  });

  test("refuses two records of one name", () => {
    const data = Uart.alloc().$bytes;
    expect(codeOf(encodeState(header, [record("serial0", data), record("serial0", data)]))).toBe(
      "state-invalid",
    );
  });
});
