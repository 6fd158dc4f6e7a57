/** State that is saved, loaded and saved again, and registers that go on with it, for `vcpu-state.test.ts`. */
import type { SavedRecord } from "@vmm/cpr";
import { KvmVm } from "../src/accel/kvm/index.ts";
import * as kvm from "../src/accel/kvm/uapi/kvm.ts";
import { type Assembler, at, eax, ebp, ebx, ecx, edi, esi } from "../src/boot/asm-x86.ts";
import { finishAndGoOn, Guest } from "./kvm-guest.ts";
import { armPit, enableSse, routePin, takeInterrupts } from "./kvm-interrupts.ts";
import { byName, moved, SAME_BOOT } from "./kvm-moved.ts";

const VECTOR = 0x41;
const PATTERN = 0x3000;
const RESULT = 0x2000;

/** Values in as many registers as the assembler reaches: general, control, debug, SSE, x87, LAPIC, IOAPIC, PIC, PIT. */
function fillRegisters(a: Assembler): void {
  takeInterrupts(a, [VECTOR]);
  enableSse(a);
  a.fninit();
  for (let i = 0; i < 8; i++) {
    a.byte(0x0f, 0x10, 0x05 | (i << 3)); // movups xmm[i]
    a.dword(PATTERN + 16 * i);
    a.byte(0x0f, 0x6f, 0x05 | (i << 3)); // movq mm[i]
    a.dword(PATTERN + 8 * i);
  }
  a.mov(eax, 0x12345678);
  for (const i of [0, 1, 2, 3]) a.byte(0x0f, 0x23, 0xc0 | (i << 3)); // mov dr[i], eax
  a.byte(0x0f, 0x22, 0xd0); // mov cr2, eax
  routePin(a, 9, VECTOR, "level");
  a.outByte(0x21, 0xa5);
  a.outByte(0xa1, 0x5a);
  armPit(a, 2, 0x1234);
  a.outByte(0x43, 0xb6);
  a.outByte(0x42, 0x77);
  a.mov(at(0xfee00080), 0x30); // task priority
  a.mov(at(0xfee00350), 0x1_0044); // LINT0: masked
  a.mov(at(0xfee003e0), 0xb);
  [ebx, ecx, esi, edi, ebp].forEach((register, i) => {
    a.mov(register, 0x0badc0de + i);
  });
  a.byte(0xf9, 0xfd); // stc, std
}

/** Where two lists of records differ, as `name.field`; of opaque ones as `name@offset`. */
function differences(before: readonly SavedRecord[], after: readonly SavedRecord[]): string[] {
  const others = byName(after);
  const found = before.flatMap((record) => {
    const other = others.get(record.name);
    if (other?.data.length !== record.data.length) return [`${record.name}: size`];
    return record.fields.flatMap((field) => {
      const part = (data: Uint8Array) => Buffer.from(data).subarray(field.offset, field.offset + field.size);
      const [a, b] = [part(record.data), part(other.data)];
      if (a.equals(b)) return [];
      if (field.size <= 8) return [`${record.name}.${field.name}`];
      return [...a.keys()].filter((i) => a[i] !== b[i]).map((i) => `${record.name}@${i.toString(16)}`);
    });
  });
  const names = (records: readonly SavedRecord[]) => records.map((r) => r.name).join();
  return names(before) === names(after) ? found : [...found, "other records"];
}

/**
 * What the kernel sets by the time of the call: the TSC's value, kvmclock, when the PIT's channels 1 and 2 began, and
 * whether its channel 0 has ticked meanwhile, at the PIC.
 */
const isTime = (name: string) =>
  name === "cpu0/kvm-tsc.value" ||
  name.startsWith("vm/kvm-clock.") ||
  /^vm\/kvm-pic-master@[01]$/.test(name) ||
  /^vm\/kvm-pit2@(2[89a-f]|4[0-7])/.test(name);

/** What differs between a state and the same state after it was loaded into a new VM. */
export function roundTrip() {
  const guest = new Guest(fillRegisters);
  guest.ram.memory.write(
    PATTERN,
    Uint8Array.from({ length: 128 }, (_, i) => i + 1),
  );
  const end = guest.run();
  const saved = guest.vm.save();
  const next = new KvmVm(1);
  guest.ram.attach(next);
  next.restore(byName(saved), SAME_BOOT);
  const record = (name: string) => Buffer.from(byName(saved).get(name)?.data ?? []);
  return {
    end,
    differences: differences(saved, next.save()).filter((name) => !isTime(name)),
    records: saved.map((r) => r.name),
    // it must have been worth the while
    xmm7: record("cpu0/kvm-xsave")
      .subarray(160 + 112, 160 + 128)
      .toString("hex"),
    dr3: record("cpu0/kvm-debugregs").readUInt32LE(24).toString(16),
    ebp: kvm.KvmRegs.at(new Uint8Array(record("cpu0/kvm-regs")).buffer).rbp,
    picMask: record("vm/kvm-pic-master")[8 + 2],
  };
}

/** A state that is loaded by `reset` is the one at power on. */
export function resetIsPowerOn() {
  const fresh = new Guest(fillRegisters);
  const powerOn = fresh.vm.save();
  fresh.ram.memory.write(
    PATTERN,
    Uint8Array.from({ length: 128 }, (_, i) => i + 1),
  );
  const end = fresh.run();
  const changed = differences(powerOn, fresh.vm.save()).length;
  fresh.vm.reset({ eip: 0x10000, esp: 0x10000 });
  return { end, changed, differences: differences(powerOn, fresh.vm.save()).filter((name) => !isTime(name)) };
}

/** The guest counts, and at each step its registers must be those that it left. */
export function goesOn() {
  const steps = 12;
  let guest = new Guest((a) => {
    enableSse(a);
    a.loadXmm0(at(PATTERN));
    a.fninit();
    a.loadMm0(at(PATTERN));
    a.mov(ebx, 0);
    a.mov(ebp, 0x600df00d);
    a.label("step");
    finishAndGoOn(a);
    a.storeXmm0(at(RESULT));
    a.storeMm0(at(RESULT + 16));
    a.inc(ebx);
    a.mov(at(RESULT + 24), ebx);
    a.mov(at(RESULT + 28), ebp);
    a.cmp(ebx, steps);
    a.jumpIf("notEqual", "step");
  });
  const pattern = Uint8Array.from({ length: 16 }, (_, i) => 0xf0 - i);
  guest.ram.memory.write(PATTERN, pattern);
  const ends: string[] = [];
  const seen: unknown[] = [];
  for (let i = 0; i <= steps; i++) {
    ends.push(guest.run());
    if (i > 0) {
      const [xmm, mm] = [guest.ram.bytes(RESULT, 16), guest.ram.bytes(RESULT + 16, 8)];
      seen.push([
        Buffer.from(xmm).equals(pattern),
        Buffer.from(mm).equals(pattern.subarray(0, 8)),
        guest.ram.word(RESULT + 24),
        guest.ram.word(RESULT + 28).toString(16),
      ]);
    }
    if (i < steps) guest = moved(guest);
  }
  return { ends: [...new Set(ends)], seen };
}
