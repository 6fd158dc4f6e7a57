/** Guests that leave to user space in every way, for `exit-dispatch.test.ts`. */
import { MAP_ANONYMOUS, MAP_PRIVATE, mmap, PROT_NONE } from "@vmm/libc";
import { type Assembler, al, at, ax, by, eax, ecx, edi, edx, esi } from "../src/boot/asm-x86.ts";
import { Guest, recorder } from "./kvm-guest.ts";
import { enableSse } from "./kvm-interrupts.ts";

/** Where guests keep what they read. */
const DATA = 0x2000;
const PORT = 0x500;
/** An address without RAM behind it. */
const MMIO = 0xd0000000;

const rep = 0xf3;

/** in and out of every width, to a device and to nobody. */
export function portAccess() {
  const guest = new Guest((a) => {
    a.mov(edx, PORT);
    a.mov(eax, 0x11223344);
    for (const register of [al, ax, eax]) a.out(register);
    [al, ax, eax].forEach((register, i) => {
      a.mov(eax, 0x55555555);
      a.in(register);
      a.mov(at(DATA + 4 * i), eax);
    });
    a.mov(edx, PORT + 0x100);
    a.out(eax);
    [al, ax, eax].forEach((register, i) => {
      a.mov(eax, 0);
      a.in(register);
      a.mov(at(DATA + 12 + 4 * i), eax);
    });
  });
  const device = recorder(() => 0x8899aabb);
  guest.targets.ports(PORT, 8, device);
  const end = guest.run();
  return {
    end,
    log: device.log,
    read: [0, 1, 2, 3, 4, 5].map((i) => guest.ram.word(DATA + 4 * i).toString(16)),
  };
}

/** rep outsb, rep insb, rep outsd and rep insd over `count` elements. */
function stringAccess(count: number) {
  const source = 0x20000;
  const target = 0x30000;
  const guest = new Guest((a) => {
    a.cld();
    a.mov(edx, PORT);
    for (const [opcode, register, address] of [
      [0x6e, esi, source],
      [0x6c, edi, target],
      [0x6f, esi, source],
      [0x6d, edi, target + 0x8000],
    ] as const) {
      a.mov(ecx, count);
      a.mov(register, address);
      a.byte(rep, opcode);
    }
    a.mov(at(DATA), ecx);
    a.mov(at(DATA + 4), edi);
  });
  guest.ram.memory.write(
    source,
    Uint8Array.from({ length: 4 * count }, (_, i) => (i * 7) & 0xff),
  );
  const written: number[] = [];
  let next = 0;
  guest.targets.ports(PORT, 4, {
    read: (_, size) => (size === 1 ? next++ & 0xff : next++),
    write: (_, __, value) => written.push(value),
  });
  const end = guest.run();
  const sent = guest.ram.bytes(source, 4 * count);
  const sentWords = new Uint32Array(sent.buffer);
  const words = new Uint32Array(guest.ram.bytes(target + 0x8000, 4 * count).buffer);
  return {
    end,
    written: written.length,
    outBytes: written.slice(0, count).every((value, i) => value === sent[i]),
    outWords: written.slice(count).every((value, i) => value === sentWords[i]),
    inBytes: guest.ram.bytes(target, count).every((value, i) => value === (i & 0xff)),
    inWords: words.every((value, i) => value === count + i),
    rest: guest.ram.word(DATA),
    edi: guest.ram.word(DATA + 4) - target - 0x8000,
  };
}

export const shortStrings = () => stringAccess(20);
/** More than a page of data, which KVM hands over in parts. */
export const longStrings = () => stringAccess(5000);

/** movq mm0 to or from the address in esi. */
const movq = (a: Assembler, load: boolean) => (load ? a.loadMm0(by(esi)) : a.storeMm0(by(esi)));

/** Reads and writes of 1, 2, 4, 8 and 16 bytes. */
export function memoryAccess() {
  const guest = new Guest((a) => {
    enableSse(a);
    a.mov(esi, MMIO);
    a.mov(eax, 0x11223344);
    for (const register of [al, ax, eax]) a.mov(by(esi, 0x10), register);
    [al, ax, eax].forEach((register, i) => {
      a.mov(eax, 0);
      a.mov(register, by(esi, 0x20 + i));
      a.mov(at(DATA + 4 * i), eax);
    });
    movq(a, true);
    a.storeMm0(at(DATA + 12));
    movq(a, false);
    a.loadXmm0(by(esi, 0x40));
    a.storeXmm0(by(esi, 0x50));
  });
  const device = recorder((offset) => (0xa0b0c000 | offset) >>> 0);
  guest.targets.memory(MMIO, 0x100, device);
  const end = guest.run();
  return {
    end,
    log: device.log,
    read: [0, 1, 2, 3, 4].map((i) => guest.ram.word(DATA + 4 * i).toString(16)),
  };
}

/** An address that nobody claims. */
export function nobodysMemory() {
  const guest = new Guest((a) => {
    a.mov(esi, MMIO);
    a.mov(eax, 0x11223344);
    a.mov(by(esi), eax);
    [al, ax, eax].forEach((register, i) => {
      a.mov(eax, 0);
      a.mov(register, by(esi));
      a.mov(at(DATA + 4 * i), eax);
    });
  });
  const end = guest.run();
  return { end, read: [0, 1, 2].map((i) => guest.ram.word(DATA + 4 * i).toString(16)) };
}

/** Accesses of 4 bytes that begin 1, 2 and 3 bytes before the end of a page. */
export function acrossPages() {
  const guest = new Guest((a) => {
    a.mov(esi, MMIO + 0x1000);
    for (const before of [1, 2, 3]) {
      a.mov(eax, 0x11223344);
      a.mov(by(esi, -before), eax);
      a.mov(eax, by(esi, -before));
      a.mov(at(DATA + 4 * before), eax);
    }
  });
  // each byte of the device's memory holds the low byte of its offset
  const device = recorder((offset) => (offset & 0xff) | (((offset + 1) & 0xff) << 8));
  guest.targets.memory(MMIO, 0x2000, device);
  const end = guest.run();
  return { end, log: device.log, read: [1, 2, 3].map((i) => guest.ram.word(DATA + 4 * i).toString(16)) };
}

/** inc of a device register, and a block copied from a device to RAM and back. */
export function readModifyWrite() {
  const guest = new Guest((a) => {
    a.cld();
    a.inc(at(MMIO));
    a.mov(esi, MMIO + 0x10);
    a.mov(edi, DATA);
    a.mov(ecx, 4);
    a.byte(rep, 0xa5); // rep movsd
    a.mov(esi, DATA);
    a.mov(edi, MMIO + 0x20);
    a.mov(ecx, 4);
    a.byte(rep, 0xa5);
  });
  const device = recorder((offset) => 0x100 + offset);
  guest.targets.memory(MMIO, 0x100, device);
  return { end: guest.run(), log: device.log };
}

const emptyTable = (a: Assembler) => {
  a.label("empty pointer");
  a.word(0);
  a.dword(0);
};

/** A triple fault; then the machine is reset, and the guest runs again. */
export function tripleFault() {
  const guest = new Guest((a) => {
    a.inc(at(DATA));
    a.cmp(at(DATA), 2);
    a.jumpIf("equal", "again");
    a.lidt("empty pointer");
    a.ud2();
    emptyTable(a);
    a.label("again");
  });
  const first = guest.run();
  guest.vm.reset({ eip: 0x10000, esp: 0x10000 });
  return { first, second: guest.run(), count: guest.ram.word(DATA) };
}

/** A jump to where no memory is: KVM cannot fetch the instruction. */
export function jumpToNowhere() {
  const guest = new Guest((a) => {
    a.mov(eax, MMIO);
    a.jumpTo(eax);
  });
  const end = guest.run();
  return { end, reports: guest.targets.reports, registers: guest.vm.vcpus[0]?.describeRegisters() };
}

/** A slot whose memory the host does not give. */
export function memoryGone() {
  const guest = new Guest((a) => {
    a.mov(esi, 0x200000);
    a.mov(eax, by(esi));
    a.mov(at(DATA), eax);
  });
  const size = 0x1000;
  const address = mmap({ length: size, prot: PROT_NONE, flags: MAP_PRIVATE | MAP_ANONYMOUS });
  guest.vm.setMemorySlot({ slot: 1, backend: "gone", gpa: 0x200000, size, offset: 0, address });
  const end = guest.run();
  return { end, reports: guest.targets.reports, read: guest.ram.word(DATA) };
}
