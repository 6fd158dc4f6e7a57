/** How each processor of the heartbeat guest starts, and the loop in which it counts. */
import { type Assembler, al, at, by, eax, ebx, ecx, edi, edx, esi, esp, type Memory } from "../asm-x86.ts";
import { setUpUart } from "./console.ts";
import { faultNumber } from "./faults.ts";
import { AP_STACK_SIZE, CODE_SELECTOR, DATA_SELECTOR, LAPIC, PRIVATE } from "./hardware.ts";
import { COUNT_STRIDE, HEARTBEAT } from "./map.ts";
import { setUpInterrupts } from "./timer.ts";

/** Counts in ebx and in RAM as fast as can be, until the two differ. `last` is what each turn ends with. */
function countingLoop(a: Assembler, label: string, count: Memory, last: () => void): void {
  a.label(label);
  a.inc(ebx);
  a.inc(count);
  a.cmp(ebx, count);
  a.jumpIf("notEqual", `${label}: fault`);
  last();
  a.jump(label);
  a.label(`${label}: fault`);
  a.mov(eax, faultNumber("count"));
  a.mov(ecx, ebx);
  a.mov(edx, count);
  a.jump("fault");
}

/** The start-up IPI enters here, in real mode, with the code segment at {@link CODE}. */
export function otherProcessors(a: Assembler): void {
  a.mode = 16;
  a.cli();
  a.lgdt("gdt pointer");
  a.readControl(0);
  a.or(al, 1); // protection enable
  a.writeControl(0);
  a.farJump(CODE_SELECTOR, "other processor");

  a.mode = 32;
  a.label("other processor");
  a.mov(eax, DATA_SELECTOR);
  a.loadDataSegments();
  a.lidt("idt pointer");
  a.mov(eax, at(LAPIC.id));
  a.shr(eax, 24);
  a.imul(eax, COUNT_STRIDE);
  a.mov(esp, eax);
  a.add(esp, PRIVATE.AP_STACKS + AP_STACK_SIZE);
  a.mov(esi, eax);
  a.add(esi, HEARTBEAT.COUNT);
  a.lockInc(at(HEARTBEAT.STARTED));
  a.mov(ebx, 0);
  a.mov(by(esi), ebx);
  countingLoop(a, "others count", by(esi), () => {
    a.cmp(at(HEARTBEAT.HALT_OTHERS), 0);
    a.jumpIf("notEqual", "halt");
  });
}

export function bootProcessor(a: Assembler): void {
  a.label("boot");
  a.cli();
  a.cld();
  a.lgdt("gdt pointer");
  a.farJump(CODE_SELECTOR, "flat");
  a.label("flat");
  a.mov(eax, DATA_SELECTOR);
  a.loadDataSegments();
  a.mov(esp, PRIVATE.BSP_STACK_END);
  a.lidt("idt pointer");
  floatingPointOn(a);
  drawSecret(a);
  setUpUart(a);
  a.call("tick");
  setUpInterrupts(a);
  a.mov(ebx, at(HEARTBEAT.COUNT));
  a.sti();
  countingLoop(a, "count", at(HEARTBEAT.COUNT), () => {
    a.cmp(at(HEARTBEAT.REST), 0);
    a.jumpIf("equal", "count");
    a.hlt();
  });
}

function floatingPointOn(a: Assembler): void {
  a.readControl(0);
  a.and(eax, ~0b1100); // no emulation, no task switched
  a.or(eax, 0b10_0010); // monitor coprocessor, native errors
  a.writeControl(0);
  a.readControl(4);
  a.or(eax, 0x600); // OSFXSR and OSXMMEXCPT: SSE on
  a.writeControl(4);
  a.fninit();
}

/** The secret comes from the time stamp counter, stirred so that near start times give far secrets. */
function drawSecret(a: Assembler): void {
  a.rdtsc();
  a.imul(eax, 0x9e3779b1);
  a.rol(eax, 15);
  a.xor(eax, edx);
  a.imul(eax, 0x85ebca6b);
  a.mov(edi, eax);
  a.mov(at(HEARTBEAT.SECRET), edi);
  for (let word = 0; word < 4; word++) {
    a.mov(at(HEARTBEAT.SECRET_WORDS + 4 * word), eax);
    a.xor(eax, -1);
  }
  a.loadXmm0(at(HEARTBEAT.SECRET_WORDS));
  a.loadMm0(at(HEARTBEAT.SECRET_WORDS));
}
