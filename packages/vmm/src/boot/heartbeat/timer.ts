/** The heartbeat guest's timer: set-up and interrupt handler. */
import { type Assembler, at, eax, ecx, edx } from "../asm-x86.ts";
import {
  END_OF_INTERRUPT,
  INIT_OTHERS,
  INTERRUPTS_ON,
  IRQ0_VECTOR,
  LAPIC,
  PIC,
  PIT,
  PRIVATE,
  START_OTHERS,
  VECTORS,
} from "./hardware.ts";
import { HEARTBEAT, TICK_INTERRUPTS, TIMER_HZ } from "./map.ts";

/** The timer through the 8259s as a virtual wire, and nothing else. */
export function setUpInterrupts(a: Assembler): void {
  const masterFirst: [number, number][] = [
    [PIC.command, 0x11],
    [PIC.command2, 0x11],
    [PIC.data, IRQ0_VECTOR],
    [PIC.data2, IRQ0_VECTOR + 8],
    [PIC.data, 1 << 2], // the other one hangs on line 2
    [PIC.data2, 2],
    [PIC.data, 1],
    [PIC.data2, 1],
    [PIC.data, 0xfe],
    [PIC.data2, 0xff],
  ];
  for (const [port, value] of masterFirst) a.outByte(port, value);

  const divisor = Math.round(PIT.hz / TIMER_HZ);
  a.outByte(PIT.mode, 0x34); // channel 0, low byte then high byte, rate generator
  a.outByte(PIT.channel0, divisor & 0xff);
  a.outByte(PIT.channel0, divisor >> 8);

  // The local APIC's table entries can be unmasked only while it is enabled.
  a.mov(at(LAPIC.spurious), 0x100 | (VECTORS - 1));
  a.mov(at(LAPIC.lint0), 0x700); // what the 8259 says
  a.mov(at(LAPIC.commandLow), INIT_OTHERS);
  a.mov(at(PRIVATE.UNTIL_TICK), TICK_INTERRUPTS);
}

export function timerInterrupt(a: Assembler): void {
  a.label("timer");
  a.mov(eax, at(HEARTBEAT.INTERRUPTS));
  a.inc(eax);
  a.mov(at(HEARTBEAT.INTERRUPTS), eax);
  // The first two interrupts come as far after INIT as the start-up IPIs should.
  a.cmp(eax, 2);
  a.jumpIf("above", "started");
  a.mov(at(LAPIC.commandLow), START_OTHERS);
  a.label("started");
  a.outByte(PIC.command, END_OF_INTERRUPT);
  a.dec(at(PRIVATE.UNTIL_TICK));
  a.jumpIf("notEqual", "timer done");
  a.mov(at(PRIVATE.UNTIL_TICK), TICK_INTERRUPTS);
  a.call("tick");
  a.label("timer done");
  returnFromInterrupt(a);
}

/**
 * Does what iret would. Where KVM runs all of a guest through its own instruction emulator, as it does on hosts that lend
 * it no virtualization hardware, there is no iret in protected mode. The last jump is in the shadow of sti, so interrupts
 * that have piled up come one after the other and not one on top of the other. The loop leaves ecx and edx to us.
 */
function returnFromInterrupt(a: Assembler): void {
  a.pop(ecx); // eip
  a.pop(edx); // cs
  a.pop(edx); // eflags
  a.and(edx, ~INTERRUPTS_ON);
  a.push(edx);
  a.popf();
  a.sti();
  a.jumpTo(ecx);
}
