/** State that is saved from one VM and loaded into a new one over the same memory, for `vcpu-state.test.ts`. */
import type { SavedRecord } from "@vmm/cpr";
import { ioctl } from "@vmm/libc";
import type { RestoreTime } from "../src/accel/accelerator.ts";
import { KvmVm } from "../src/accel/kvm/index.ts";
import { msrBlock, writeMsrs } from "../src/accel/kvm/msrs.ts";
import * as kvm from "../src/accel/kvm/uapi/kvm.ts";
import { type Assembler, at, eax, ebp, ebx, ecx, edi, edx, esi } from "../src/boot/asm-x86.ts";
import { finish, Guest } from "./kvm-guest.ts";
import {
  armLapicTimer,
  armPit,
  awaitVector,
  enableSse,
  maskPics,
  routePin,
  takeInterrupts,
  takenAt,
} from "./kvm-interrupts.ts";

const VECTOR = 0x41;
/** Of the PIC's input 0. */
const PIC_VECTOR = 0x40;
const NMI = 2;
const PATTERN = 0x3000;
const RESULT = 0x2000;
const SAME_BOOT: RestoreTime = { elapsedNs: 0, sameBoot: true };

const byName = (records: readonly SavedRecord[]) => new Map(records.map((r) => [r.name, r]));

/** A new VM over the guest's memory with the guest's state; the old VM ends. */
function moved(guest: Guest, time = SAME_BOOT): Guest {
  const records = guest.vm.save();
  guest.vm.close();
  const next = guest.over(new KvmVm(1));
  next.vm.restore(byName(records), time);
  return next;
}

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

/** Ends `Guest.run`; the next one goes on behind it. */
function finishAndGoOn(a: Assembler): void {
  a.mov(edx, 0xf4);
  a.byte(0xee); // out
}

/** A guest with interrupts off that makes one pending, is moved, and only then takes it. */
function pendingAcross(prepare: (a: Assembler) => void, make: (vm: KvmVm) => void, vector = VECTOR) {
  const guest = new Guest((a) => {
    takeInterrupts(a, [vector]);
    maskPics(a);
    prepare(a);
    finishAndGoOn(a);
    awaitVector(a, vector, 1);
    // another one would come now
    a.mov(ecx, 2000);
    a.label("linger");
    a.sti();
    a.dec(ecx);
    a.jumpIf("notEqual", "linger");
    a.cli();
  });
  const first = guest.run();
  make(guest.vm);
  const before = guest.ram.word(takenAt(vector));
  const next = moved(guest);
  return { first, before, second: next.run(), taken: next.ram.word(takenAt(vector)) };
}

export const pendingMessage = () =>
  pendingAcross(
    () => {},
    (vm) => vm.signalMsi(0xfee00000n, VECTOR),
  );

export const pendingAtPin = () =>
  pendingAcross(
    (a) => routePin(a, 5, VECTOR),
    (vm) => {
      vm.setIrqLevel(5, 1);
      vm.setIrqLevel(5, 0);
    },
  );

/** The PIT's interrupt has come, and is in the LAPIC's request register when the state is saved. */
export const pendingPit = () =>
  pendingAcross(
    (a) => {
      routePin(a, 2, VECTOR);
      armPit(a, 0, 100);
    },
    (vm) => {
      const until = performance.now() + 5000;
      while (performance.now() < until && !isRequested(vm)) Bun.sleepSync(1);
    },
  );

function isRequested(vm: KvmVm): boolean {
  const lapic = kvm.KvmLapicState.alloc();
  ioctl(vm.vcpus[0]?.handle.fd as number, kvm.KVM_GET_LAPIC, lapic);
  const word = lapic.$view.getUint32(0x200 + 16 * (VECTOR >> 5), true);
  return (word & (1 << (VECTOR & 31))) !== 0;
}

/** Ticks after the move of a PIT that was in the midst of a pulse, by what one chip says of its input then. */
function ticksAcross(vector: number, prepare: (a: Assembler) => void, high: (records: State) => void) {
  const guest = new Guest((a) => {
    takeInterrupts(a, [vector]);
    prepare(a);
    armPit(a, 2, 11932);
    awaitVector(a, vector, 2);
    finishAndGoOn(a);
    a.mov(at(takenAt(vector)), 0);
    // long enough for some, and not for ever: 2^32 of the TSC are a second or more
    a.rdtsc();
    a.mov(ebp, edx);
    a.add(ebp, 2);
    a.label("more");
    a.sti();
    a.cmp(at(takenAt(vector)), 5);
    a.jumpIf("equal", "enough");
    a.rdtsc();
    a.cmp(edx, ebp);
    a.jumpIf("notEqual", "more");
    a.label("enough");
    a.cli();
  });
  const first = guest.run();
  const records = byName(guest.vm.save());
  high(records);
  guest.vm.close();
  const next = guest.over(new KvmVm(1));
  next.vm.restore(records, SAME_BOOT);
  return { first, second: next.run(), ticks: next.ram.word(takenAt(vector)) };
}

type State = ReturnType<typeof byName>;

/** Sets a bit of a chip's state, by its offset in it. */
function setBit(records: State, name: string, offset: number, bit: number): void {
  const record = records.get(name) as SavedRecord;
  const data = new Uint8Array(record.data);
  const chip = 8; // in struct kvm_irqchip
  data[chip + offset] = (data[chip + offset] as number) | bit;
  records.set(name, { ...record, data });
}

export const pulseAtPic = () =>
  ticksAcross(
    PIC_VECTOR,
    (a) => {
      a.outByte(0x20, 0x11);
      // ends interrupts by itself; all inputs but the first masked
      for (const value of [PIC_VECTOR, 4, 0x3, 0xfe]) a.outByte(0x21, value);
      a.mov(at(0xfee00350), 0x700); // LINT0: what the PIC says
    },
    (records) => setBit(records, "vm/kvm-pic-master", 0, 1), // last_irr
  );

export const pulseAtIoapic = () =>
  ticksAcross(
    VECTOR,
    (a) => {
      maskPics(a);
      routePin(a, 2, VECTOR);
    },
    (records) => setBit(records, "vm/kvm-ioapic", 16, 1 << 2), // irr
  );

/** Armed for so late that it can only come after the move (ns / 16). */
export const lapicTimer = () =>
  pendingAcross(
    (a) => armLapicTimer(a, VECTOR, 3_000_000),
    () => {},
  );

export const pendingNmi = () =>
  pendingAcross(
    () => {},
    (vm) => {
      ioctl(vm.vcpus[0]?.handle.fd as number, kvm.KVM_NMI);
    },
    NMI,
  );

/** Whether the guest's kvmclock says that it was paused: without such a clock, with one, and after it was told. */
export function toldOfPause() {
  const MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01;
  const CLOCK = 0x5000;
  const STOPPED = 2; // PVCLOCK_GUEST_STOPPED
  const guest = new Guest((a) => {
    for (let i = 0; i < 4; i++) finishAndGoOn(a);
  });
  const runs = () => [guest.run(), (guest.ram.word(CLOCK + 28) >>> 8) & STOPPED];
  guest.run();
  guest.vm.tellOfPause();
  const without = runs();
  const clock = msrBlock([MSR_KVM_SYSTEM_TIME_NEW]);
  clock.setBigUint64(16, BigInt(CLOCK | 1), true);
  const refused = writeMsrs(guest.vm.vcpus[0]?.handle.fd as number, new Uint8Array(clock.buffer));
  const before = runs();
  guest.vm.tellOfPause();
  return { without, refused, before, told: runs() };
}

/** The TSC before and after, and what the guest itself reads. */
export function clocks() {
  const guest = new Guest((a) => {
    for (const offset of [0, 8]) {
      a.rdtsc();
      a.mov(at(RESULT + offset), eax);
      a.mov(at(RESULT + offset + 4), edx);
      finishAndGoOn(a);
    }
  });
  guest.run();
  const next = moved(guest);
  const before = performance.now();
  next.run();
  const ms = performance.now() - before;
  const read = (offset: number) =>
    BigInt(next.ram.word(RESULT + offset)) + (BigInt(next.ram.word(RESULT + offset + 4)) << 32n);
  return { first: Number(read(0)), second: Number(read(8)), khz: khzOf(next.vm), ms };
}

const tscOf = (records: readonly SavedRecord[]) => {
  const state = Buffer.from(byName(records).get("cpu0/kvm-tsc")?.data ?? []);
  return { offset: state.readBigInt64LE(0), value: state.readBigUInt64LE(8), khz: state.readUInt32LE(16) };
};

/** Loaded an hour later, on a host that was booted again: the saved offset means nothing. */
export function tscOnAnotherBoot() {
  const guest = new Guest(finish);
  guest.run();
  const records = guest.vm.save();
  const next = new KvmVm(1);
  next.restore(byName(records), { elapsedNs: 3_600_000_000_000, sameBoot: false });
  const [saved, now] = [tscOf(records), tscOf(next.save())];
  return { hours: Number(now.value - saved.value) / now.khz / 3_600_000 };
}

/** A guest whose TSC counts at another rate than this host's, through two moves and a reset: what each state says of it. */
export function tscOfAnotherRate() {
  const source = new KvmVm(1);
  const records = source.save();
  const own = tscOf(records).khz;
  const next = new KvmVm(1);
  // so near the host's that every KVM takes it, with hardware to scale it or without
  next.restore(withTscKhz(records, own + 1), SAME_BOOT);
  const once = next.save();
  const last = new KvmVm(1);
  last.restore(byName(once), SAME_BOOT);
  last.reset({ eip: 0 });
  return { own, moved: tscOf(once).khz, reset: tscOf(last.save()).khz, real: khzOf(last) };
}

const khzOf = (vm: KvmVm) => ioctl(vm.vcpus[0]?.handle.fd as number, kvm.KVM_GET_TSC_KHZ);

function withTscKhz(records: readonly SavedRecord[], khz: number): Map<string, SavedRecord> {
  const changed = byName(records);
  const tsc = changed.get("cpu0/kvm-tsc") as SavedRecord;
  const data = new Uint8Array(tsc.data);
  new DataView(data.buffer).setUint32(16, khz, true);
  return changed.set(tsc.name, { ...tsc, data });
}

/** Whether this KVM can give a guest a TSC of its own. */
export function tscOffsets() {
  const vm = new KvmVm(1);
  const records = vm.save();
  const { value } = tscOf(records);
  vm.restore(byName(records), { elapsedNs: 1e12, sameBoot: false });
  return tscOf(vm.save()).value - value > (1_000_000n * BigInt(tscOf(records).khz)) / 2n;
}
