import { describe, expect, test } from "bun:test";
import { VmmError } from "../../vmm-error.ts";
import { opaqueRecord, savedBytes, savedList, structRecord } from "./state-record.ts";
import { KvmMpState } from "./uapi/kvm.ts";

const record = structRecord("cpu0", "kvm-mp-state", KvmMpState, KvmMpState.of({ mp_state: 3 }).$bytes);
const records = new Map([[record.name, record]]);

const failure = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(VmmError);
    expect((error as VmmError).code).toBe("state");
    return (error as VmmError).message;
  }
  throw new Error("nothing was thrown");
};

describe("records of KVM's structures", () => {
  test("are named after owner and structure, and describe their fields", () => {
    expect(record).toMatchObject({ name: "cpu0/kvm-mp-state", kind: "kvm-mp-state", version: 1, compat: 1 });
    expect(record.fields).toEqual([{ name: "mp_state", type: "u32", offset: 0, size: 4 }]);
    expect(opaqueRecord("cpu1", "kvm-xsave", new Uint8Array(5)).fields).toEqual([
      { name: "data", type: "u8[5]", offset: 0, size: 5 },
    ]);
  });

  test("give a copy of their bytes, which the kernel may be handed", () => {
    const bytes = savedBytes(records, "cpu0", "kvm-mp-state", 4);
    expect([...bytes]).toEqual([3, 0, 0, 0]);
    bytes[0] = 9;
    expect(record.data[0]).toBe(3);
    expect(bytes.byteOffset).toBe(0);
  });

  test("that are missing, of a newer version or of another size are refused by name", () => {
    expect(failure(() => savedBytes(records, "cpu1", "kvm-regs"))).toBe(
      'saved state has no record "cpu1/kvm-regs"',
    );
    expect(failure(() => savedBytes(records, "cpu0", "kvm-mp-state", 8))).toBe(
      'record "cpu0/kvm-mp-state" has 4 bytes instead of 8',
    );
    const newer = new Map([[record.name, { ...record, version: 3, compat: 2 }]]);
    expect(failure(() => savedBytes(newer, "cpu0", "kvm-mp-state"))).toContain("version 3");
  });

  test("of another kind under the same name are refused", () => {
    const other = new Map([[record.name, { ...record, kind: "kvm-regs" }]]);
    expect(failure(() => savedBytes(other, "cpu0", "kvm-mp-state"))).toContain("is of another kind");
  });

  test("that are lists are refused where they do not have as many entries as they say", () => {
    const list = (...bytes: number[]) => {
      const saved = opaqueRecord("cpu0", "list", Uint8Array.from(bytes));
      return savedList(new Map([[saved.name, saved]]), "cpu0", "list", { header: 4, entry: 2 });
    };
    expect(list(2, 0, 0, 0, 7, 7, 8, 8)).toHaveLength(8);
    expect(list(0, 0, 0, 0)).toHaveLength(4);
    for (const bytes of [[], [1, 0], [1, 0, 0, 0, 7], [1, 0, 0, 0, 7, 7, 8], [255, 255, 255, 255, 7, 7]]) {
      expect(failure(() => list(...bytes))).toBe(
        'record "cpu0/list" does not have the length that its entries need',
      );
    }
  });

  test("of a newer version that older ones can load are taken", () => {
    const newer = new Map([[record.name, { ...record, version: 3 }]]);
    expect(savedBytes(newer, "cpu0", "kvm-mp-state", 4)).toHaveLength(4);
  });
});
