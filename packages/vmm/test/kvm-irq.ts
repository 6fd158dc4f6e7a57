/** Interrupts and doorbells, for `irqfd.test.ts`. */
import {
  close,
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  eventfd,
  eventfdRead,
  eventfdWrite,
  SyscallError,
} from "@vmm/libc";
import { KvmVm } from "../src/accel/kvm/index.ts";
import { type Assembler, al, at, ax, by, eax, edx, esi } from "../src/boot/asm-x86.ts";
import { Guest, recorder } from "./kvm-guest.ts";
import { armPit, awaitVector, maskPics, routePin, takeInterrupts, takenAt } from "./kvm-interrupts.ts";

/** A write here makes the test act while the guest stands still. */
const ACT_PORT = 0x510;
const VECTOR = 0x41;
/** A GSI beyond the chipset's. */
const GSI = 24;
const MSI = 0xfee00000n;

/** Tells the test to act, which it does by the number. */
function act(a: Assembler, number: number): void {
  a.mov(edx, ACT_PORT);
  a.mov(al, number);
  a.out(al);
}

/** Runs a guest whose writes to the act port call `actions`. */
function runActing(guest: Guest, actions: readonly (() => void)[]): string {
  guest.targets.ports(ACT_PORT, 1, { read: () => 0, write: (_, __, number) => actions[number]?.() });
  return guest.run();
}

const newEventfd = () => eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
const countOf = (fd: number): number => Number(eventfdRead(fd) ?? 0n);

/** A guest that lets the test act once, waits for one interrupt, and lets it act again `quiet` times. */
const waiter = (prepare: (a: Assembler) => void = () => {}) =>
  new Guest((a) => {
    takeInterrupts(a, [VECTOR]);
    maskPics(a);
    prepare(a);
    act(a, 0);
    awaitVector(a, VECTOR, 1);
    // a second one would come now
    a.sti();
    for (let i = 0; i < 20; i++) act(a, 1);
    a.cli();
  });

const taken = (guest: Guest) => guest.ram.word(takenAt(VECTOR));

export function message() {
  const guest = waiter();
  const end = runActing(guest, [() => guest.vm.signalMsi(MSI, VECTOR)]);
  return { end, taken: taken(guest) };
}

export function irqfdAsMessage() {
  const guest = waiter();
  const fd = newEventfd();
  guest.vm.setRouting([{ gsi: GSI, type: "msi", address: MSI, data: VECTOR }]);
  guest.vm.assignIrqfd(fd, GSI);
  const end = runActing(guest, [() => eventfdWrite(fd)]);
  return { end, taken: taken(guest) };
}

export function irqfdAtPin() {
  const guest = waiter((a) => routePin(a, 5, VECTOR));
  const fd = newEventfd();
  guest.vm.assignIrqfd(fd, 5);
  const end = runActing(guest, [() => eventfdWrite(fd)]);
  return { end, taken: taken(guest) };
}

/** A level-triggered line with a resample eventfd: KVM lowers the line and tells us at the guest's EOI. */
export function resample() {
  const guest = waiter((a) => routePin(a, 10, VECTOR, "level"));
  const [fd, resampled] = [newEventfd(), newEventfd()];
  guest.vm.assignIrqfd(fd, 10, resampled);
  const before = countOf(resampled);
  const end = runActing(guest, [() => eventfdWrite(fd)]);
  return { end, taken: taken(guest), before, resampled: countOf(resampled) };
}

/** A line that stays up interrupts again after each EOI, until it is lowered. */
export function level() {
  const guest = new Guest((a) => {
    takeInterrupts(a, [VECTOR]);
    maskPics(a);
    routePin(a, 10, VECTOR, "level");
    act(a, 0);
    awaitVector(a, VECTOR, 3);
    act(a, 1);
    a.mov(eax, at(takenAt(VECTOR)));
    a.mov(at(0x2000), eax);
    a.sti();
    for (let i = 0; i < 20; i++) act(a, 2);
    a.cli();
  });
  const end = runActing(guest, [() => guest.vm.setIrqLevel(10, 1), () => guest.vm.setIrqLevel(10, 0)]);
  return { end, afterLowering: taken(guest) - guest.ram.word(0x2000) };
}

/** The PIT's interrupt, at the IOAPIC pin where ACPI says that it is. */
export function pitAtPin2() {
  const guest = new Guest((a) => {
    takeInterrupts(a, [VECTOR]);
    maskPics(a);
    routePin(a, 2, VECTOR);
    armPit(a, 2, 2000);
    awaitVector(a, VECTOR, 3);
  });
  return { end: guest.run(), taken: taken(guest) };
}

/** Doorbells at a port and in memory, with and without a value, and none any more. */
export function doorbells() {
  const [port, memory] = [0x600, 0xd0000000];
  const ring = (a: Assembler) => {
    a.mov(edx, port);
    a.mov(eax, 0x1234);
    a.out(ax);
    a.mov(eax, 7);
    a.out(ax);
    a.mov(esi, memory);
    a.mov(by(esi), eax);
    a.mov(by(esi), al);
  };
  const guest = new Guest((a) => {
    ring(a);
    act(a, 0);
    ring(a);
  });
  const device = recorder(() => 0);
  guest.targets.ports(port, 4, device);
  guest.targets.memory(memory, 4, device);
  const [any, matched, inMemory] = [newEventfd(), newEventfd(), newEventfd()];
  const bells = [
    { fd: any, bus: "pio", address: port, length: 2, data: 0x1234n },
    { fd: matched, bus: "pio", address: port, length: 2, data: 7n },
    { fd: inMemory, bus: "mmio", address: memory, length: 4 },
  ] as const;
  for (const bell of bells) guest.vm.assignIoeventfd(bell);
  const counts: number[][] = [];
  const logs: string[][] = [];
  const observe = () => {
    counts.push([any, matched, inMemory].map(countOf));
    logs.push(device.log.splice(0));
  };
  const end = runActing(guest, [
    () => {
      observe();
      for (const bell of bells) guest.vm.deassignIoeventfd(bell);
    },
  ]);
  observe();
  return { end, counts, logs };
}

const errorCode = (call: () => void): string => {
  try {
    call();
    return "none";
  } catch (error) {
    return error instanceof SyscallError ? error.code : String(error);
  }
};

/** One eventfd and two VMs. */
export function twoVms() {
  const [first, second] = [new KvmVm(1), new KvmVm(1)];
  const fd = newEventfd();
  first.assignIrqfd(fd, 5);
  const whileAssigned = errorCode(() => second.assignIrqfd(fd, 5));
  const reattach = first.detachIrqfds();
  const whileDetached = errorCode(() => second.assignIrqfd(fd, 5));
  const taken = errorCode(reattach);
  second.deassignIrqfd(fd, 5);
  const again = errorCode(() => first.detachIrqfds()());
  return { whileAssigned, whileDetached, taken, again };
}

/** Events that come while the irqfd is detached. */
export function detached() {
  const guest = waiter();
  const fd = newEventfd();
  guest.vm.setRouting([{ gsi: GSI, type: "msi", address: MSI, data: VECTOR }]);
  guest.vm.assignIrqfd(fd, GSI);
  let whileDetached = -1;
  const end = runActing(guest, [
    () => {
      const reattach = guest.vm.detachIrqfds();
      eventfdWrite(fd);
      eventfdWrite(fd);
      whileDetached = taken(guest);
      reattach();
    },
  ]);
  const afterwards = taken(guest);
  guest.vm.detachIrqfds();
  return { end, whileDetached, taken: afterwards, left: countOf(fd) };
}

/** One of three irqfds cannot come back: its eventfd was closed. The others do. */
export function reattachFails() {
  const guest = waiter();
  const fds = [newEventfd(), newEventfd(), newEventfd()];
  guest.vm.setRouting(fds.map((_, i) => ({ gsi: GSI + i, type: "msi", address: MSI, data: VECTOR })));
  fds.forEach((fd, i) => {
    guest.vm.assignIrqfd(fd, GSI + i);
  });
  const reattach = guest.vm.detachIrqfds();
  close(fds[0] as number);
  const error = errorCode(reattach);
  const end = runActing(guest, [() => eventfdWrite(fds[2] as number)]);
  return { error, end, taken: taken(guest) };
}
