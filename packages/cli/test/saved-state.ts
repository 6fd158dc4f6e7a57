/** Saved states for tests: records of the kernel's structures and of devices, filled by hand. */
import { decodeState, encodeState, type SavedRecord, type StateHeader } from "@vmm/cpr";
import { array, bytes, type Fields, type Layout, struct, u8, u32, u64 } from "@vmm/libc";
import {
  KvmCpuidEntry2,
  KvmIrqchip,
  KvmLapicState,
  KvmMsrEntry,
  KvmRegs,
  KvmSregs2,
} from "@vmm/vmm/accel/kvm/uapi/kvm.ts";

export const HEADER: StateHeader = {
  writer: "0.1.0",
  mode: "cpr-exec",
  running: true,
  stoppedMonotonicNs: 3_600e9,
  stoppedBoottimeNs: 7_200e9,
  stoppedRealtimeNs: Date.UTC(2026, 0, 2, 3, 4, 5, 678) * 1e6,
  bootId: "1d6f9c0e-0000-4000-8000-000000000001",
  machine: { name: "web", cpus: 1 },
};

export function structRecord<F extends Fields>(
  name: string,
  kind: string,
  layout: Layout<F>,
  data: Uint8Array,
) {
  return { name, kind, version: 1, compat: 1, fields: layout.fields, data } satisfies SavedRecord;
}

export function opaque(name: string, kind: string, data: Uint8Array): SavedRecord {
  const fields = [{ name: "data", type: `u8[${data.length}]`, offset: 0, size: data.length }];
  return { name, kind, version: 1, compat: 1, fields, data };
}

export const Ring = struct("chardev", {
  written: u64,
  drained: u64,
  received: u64,
  consumed: u64,
  readers: array(u64, 4),
  rung: u32,
  tx: bytes(32),
  rx: bytes(8),
});

const Uart = struct("uart-16550", { ier: u8, lcr: u8, scr: u8, mcr: u8, msr: u8, fifo: bytes(16) });

export function uart(
  values: Parameters<typeof Uart.of>[0] = {},
  more: Partial<SavedRecord> = {},
): SavedRecord {
  const data = Uart.of({ ier: 5, lcr: 0x83, ...values }).$bytes;
  return { ...structRecord("serial0", "uart-16550", Uart, data), ...more };
}

/** A ring of 32 bytes into which `text` was printed, and 8 of input of which `read` bytes were read. */
export function console(text: string, input = "", read = 0): SavedRecord {
  const ring = Ring.of({
    written: BigInt(text.length),
    received: BigInt(input.length),
    consumed: BigInt(read),
  });
  Buffer.from(text, "latin1").forEach((byte, i) => {
    ring.tx[i % 32] = byte;
  });
  Buffer.from(input, "latin1").forEach((byte, i) => {
    ring.rx[i % 8] = byte;
  });
  return structRecord("chardev:serial0", "chardev", Ring, ring.$bytes);
}

export function registers(): SavedRecord[] {
  const regs = KvmRegs.of({ rax: 0x1234n, r15: 2n ** 64n - 1n, rip: 0xffff800000001000n, rflags: 0x246n });
  const sregs = KvmSregs2.of({ cr0: 0x80000011n, efer: 0xd01n });
  Object.assign(sregs.cs, { selector: 0x10, limit: 0xffffffff, type: 0xb, present: 1, l: 1 });
  return [
    structRecord("cpu0/kvm-regs", "kvm-regs", KvmRegs, regs.$bytes),
    structRecord("cpu0/kvm-sregs2", "kvm-sregs2", KvmSregs2, sregs.$bytes),
  ];
}

export function lapic(): SavedRecord {
  const state = KvmLapicState.alloc();
  const page = state.$view;
  page.setUint32(0x20, 3 << 24, true);
  page.setUint32(0xf0, 0x1ff, true);
  page.setUint32(0x320, 0x200ec, true);
  page.setUint32(0x370, 0x10000, true);
  // vectors 0x31 and 0xec are requested
  page.setUint32(0x200 + 0x10, 1 << 17, true);
  page.setUint32(0x200 + 0x70, 1 << 12, true);
  page.setUint8(0x3f8, 7);
  return structRecord("cpu0/kvm-lapic", "kvm-lapic", KvmLapicState, state.$bytes);
}

export function ioapic(): SavedRecord {
  const state = KvmIrqchip.of({ chip_id: 2 });
  const chip = new DataView(state.chip.buffer, state.chip.byteOffset);
  chip.setBigUint64(0, 0xfec00000n, true);
  for (let pin = 0; pin < 24; pin++) chip.setBigUint64(24 + 8 * pin, 0x10000n, true);
  chip.setBigUint64(24 + 8 * 4, 0x0100000000000024n, true);
  chip.setBigUint64(24 + 8 * 9, 0x0f0000000000a829n, true);
  return structRecord("vm/kvm-ioapic", "kvm-ioapic", KvmIrqchip, state.$bytes);
}

/** @param values Index and value of each register. */
export function msrs(...values: readonly (readonly [number, bigint])[]): SavedRecord {
  const view = new DataView(new ArrayBuffer(8 + values.length * KvmMsrEntry.size));
  view.setUint32(0, values.length, true);
  values.forEach(([index, value], i) => {
    view.setUint32(8 + i * KvmMsrEntry.size, index, true);
    view.setBigUint64(8 + i * KvmMsrEntry.size + KvmMsrEntry.offsets.data, value, true);
  });
  return opaque("cpu0/kvm-msrs", "kvm-msrs", new Uint8Array(view.buffer));
}

/** @param leaves Function, index and the four registers of each. */
export function cpuid(...leaves: readonly (readonly [number, number, number[]])[]): SavedRecord {
  const view = new DataView(new ArrayBuffer(8 + leaves.length * KvmCpuidEntry2.size));
  view.setUint32(0, leaves.length, true);
  leaves.forEach(([leaf, index, words], i) => {
    const at = 8 + i * KvmCpuidEntry2.size;
    view.setUint32(at, leaf, true);
    view.setUint32(at + 4, index, true);
    view.setUint32(at + 8, index > 0 ? 1 : 0, true);
    words.forEach((word, j) => {
      view.setUint32(at + 12 + 4 * j, word, true);
    });
  });
  return opaque("cpu0/kvm-cpuid", "kvm-cpuid", new Uint8Array(view.buffer));
}

export const bytesOfState = (...records: readonly SavedRecord[]) => encodeState(HEADER, records);

export const stateOf = (...records: readonly SavedRecord[]) => decodeState(bytesOfState(...records));
