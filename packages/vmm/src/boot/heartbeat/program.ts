/**
 * The heartbeat guest's program: 32-bit protected mode, no paging, one page or so of code.
 *
 * The boot processor counts in ebx and in RAM and compares the two each turn, so that an update of either that is lost or
 * repeated shows at once. The timer interrupts it 100 times a second; every so many interrupts it checks its secret and
 * prints a tick line. Told to rest, it counts once after each interrupt. The other processors only count, or halt if told to. A fault is written to RAM, printed, and ends the counting.
 *
 * Registers of the boot processor's loop, which interrupts leave alone: ebx the count, edi the secret (also in xmm0 and
 * mm0, so that both halves of the FPU's state are at stake). The interrupt handler uses the others as it likes, since the
 * loop does not.
 */
import { Assembler } from "../asm-x86.ts";
import { printing } from "./console.ts";
import { faults } from "./faults.ts";
import { endings, input } from "./input.ts";
import { CODE } from "./map.ts";
import { bootProcessor, otherProcessors } from "./processors.ts";
import { exceptions, tables } from "./tables.ts";
import { tick } from "./tick.ts";
import { timerInterrupt } from "./timer.ts";

/** The program, to be put at {@link CODE}, and the addresses at which the boot processor enters it and counts. */
export function heartbeatProgram(): { code: Uint8Array; entry: number; loop: number } {
  const a = new Assembler(CODE);
  otherProcessors(a);
  bootProcessor(a);
  timerInterrupt(a);
  exceptions(a);
  tick(a);
  input(a);
  endings(a);
  faults(a);
  printing(a);
  tables(a);
  return { code: a.assemble(), entry: a.addressOf("boot"), loop: a.addressOf("count") };
}
