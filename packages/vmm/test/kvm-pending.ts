/** Interrupts that are on their way while the guest is moved, for `vcpu-state.test.ts`. */
import type { SavedRecord } from "@vmm/cpr";
import { ioctl } from "@vmm/libc";
import type { KvmVm } from "../src/accel/kvm/index.ts";
import * as kvm from "../src/accel/kvm/uapi/kvm.ts";
import { type Assembler, at, ebp, ecx, edx } from "../src/boot/asm-x86.ts";
import { finishAndGoOn, Guest } from "./kvm-guest.ts";
import {
  armLapicTimer,
  armPit,
  awaitVector,
  maskPics,
  routePin,
  takeInterrupts,
  takenAt,
} from "./kvm-interrupts.ts";
import { moved, type State } from "./kvm-moved.ts";

const VECTOR = 0x41;
/** Of the PIC's input 0. */
const PIC_VECTOR = 0x40;
const NMI = 2;

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
function ticksAcross(vector: number, prepare: (a: Assembler) => void, high: (state: State) => void) {
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
  const next = moved(guest, high);
  return { first, second: next.run(), ticks: next.ram.word(takenAt(vector)) };
}

/** Sets a bit of a chip's state, by its offset in it. */
function setBit(state: State, name: string, offset: number, bit: number): void {
  const record = state.get(name) as SavedRecord;
  const data = new Uint8Array(record.data);
  const chip = 8; // in struct kvm_irqchip
  data[chip + offset] = (data[chip + offset] as number) | bit;
  state.set(name, { ...record, data });
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
    (state) => setBit(state, "vm/kvm-pic-master", 0, 1), // last_irr
  );

export const pulseAtIoapic = () =>
  ticksAcross(
    VECTOR,
    (a) => {
      maskPics(a);
      routePin(a, 2, VECTOR);
    },
    (state) => setBit(state, "vm/kvm-ioapic", 16, 1 << 2), // irr
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
