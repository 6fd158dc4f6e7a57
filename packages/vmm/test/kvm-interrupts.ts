/** Guests that take interrupts: descriptor tables, LAPIC and IOAPIC set up with the assembler. */
import { type Assembler, at, eax } from "../src/boot/asm-x86.ts";

const LAPIC = 0xfee00000;
const IOAPIC = 0xfec00000;
export const LAPIC_EOI = LAPIC + 0xb0;
const LAPIC_SPURIOUS = LAPIC + 0xf0;
/** Vector of interrupts that are no interrupts; its handler does nothing. */
const SPURIOUS = 0xff;

/** Where the handler of a vector counts. */
export const takenAt = (vector: number): number => 0x4000 + 4 * vector;

/**
 * Loads flat descriptors and interrupt gates, and turns the LAPIC on. Interrupts stay off.
 *
 * Handlers return by `ret`, since a KVM that emulates every instruction has no `iret` in protected mode. So interrupts
 * are off again afterwards, and an NMI stays masked.
 */
export function takeInterrupts(a: Assembler, vectors: readonly number[]): void {
  a.jump("set up interrupts");
  for (const vector of vectors) {
    a.label(`vector ${vector}`);
    a.byte(0x9c); // pushf
    a.inc(at(takenAt(vector)));
    // an NMI is not the LAPIC's to end
    if (vector >= 0x20) a.mov(at(LAPIC_EOI), 0);
    a.popf();
    dropFrame(a);
  }
  a.label(`vector ${SPURIOUS}`);
  dropFrame(a);
  tables(a, [...vectors, SPURIOUS]);
  a.label("set up interrupts");
  a.lgdt("gdt pointer");
  a.lidt("idt pointer");
  a.mov(at(LAPIC_SPURIOUS), 0x100 | SPURIOUS);
}

/** Returns, and takes code segment and flags off the stack. */
function dropFrame(a: Assembler): void {
  a.byte(0xc2, 8, 0);
}

function tables(a: Assembler, vectors: readonly number[]): void {
  a.align(8);
  a.label("gdt");
  a.byte(0, 0, 0, 0, 0, 0, 0, 0);
  a.byte(0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0); // 0x08: code, 4 GiB
  a.byte(0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0); // 0x10: data, 4 GiB
  a.label("gdt pointer");
  a.word(3 * 8 - 1);
  a.dword("gdt");
  a.align(8);
  a.label("idt");
  for (let vector = 0; vector <= SPURIOUS; vector++) {
    if (!vectors.includes(vector)) {
      a.dword(0);
      a.dword(0);
      continue;
    }
    // the offset's high half is that of the code, which a 16-bit reference cannot give
    a.word(`vector ${vector}`);
    a.word(0x08);
    a.byte(0, 0x8e);
    a.word(a.origin >>> 16);
  }
  a.label("idt pointer");
  a.word(256 * 8 - 1);
  a.dword("idt");
}

/** Routes an IOAPIC pin to a vector of vCPU 0. */
export function routePin(
  a: Assembler,
  pin: number,
  vector: number,
  trigger: "edge" | "level" = "edge",
): void {
  a.mov(at(IOAPIC), 0x11 + 2 * pin);
  a.mov(at(IOAPIC + 0x10), 0);
  a.mov(at(IOAPIC), 0x10 + 2 * pin);
  a.mov(at(IOAPIC + 0x10), vector | (trigger === "level" ? 0x8000 : 0));
}

/** Waits, with interrupts on, until the vector has been taken `count` times. */
export function awaitVector(a: Assembler, vector: number, count: number): void {
  const label = `await ${vector} ${count}`;
  a.label(label);
  a.sti();
  a.byte(0xf3, 0x90); // pause
  a.cmp(at(takenAt(vector)), count);
  a.jumpIf("notEqual", label);
  a.cli();
}

/** Masks all inputs of both PICs. */
export function maskPics(a: Assembler): void {
  a.outByte(0x21, 0xff);
  a.outByte(0xa1, 0xff);
}

/** Arms the PIT's channel 0: mode 0 (one interrupt at the end) or 2 (one each time). */
export function armPit(a: Assembler, mode: 0 | 2, count: number): void {
  a.outByte(0x43, 0x30 | (mode << 1));
  a.outByte(0x40, count & 0xff);
  a.outByte(0x40, count >> 8);
}

/** Arms the LAPIC timer for one interrupt after `count` bus cycles (of 1 ns in KVM), divided by 16. */
export function armLapicTimer(a: Assembler, vector: number, count: number): void {
  a.mov(at(LAPIC + 0x3e0), 0x3);
  a.mov(at(LAPIC + 0x320), vector);
  a.mov(at(LAPIC + 0x380), count);
}

/** Makes SSE and x87 usable. */
export function enableSse(a: Assembler): void {
  a.readControl(0);
  a.and(eax, ~0xc); // EM, TS
  a.or(eax, 2); // MP
  a.writeControl(0);
  a.readControl(4);
  a.or(eax, 0x600); // OSFXSR, OSXMMEXCPT
  a.writeControl(4);
}
