/**
 * The heartbeat guest's program: 32-bit protected mode, no paging, one page or so of code.
 *
 * The boot processor counts in ebx and in RAM and compares the two each turn, so that an update of either that is lost or
 * repeated shows at once. The timer interrupts it 100 times a second; every so many interrupts it checks its secret and
 * prints a tick line. The other processors only count. A fault is written to RAM, printed, and ends the counting.
 *
 * Registers of the boot processor's loop, which interrupts leave alone: ebx the count, edi the secret (also in xmm0 and
 * mm0, so that both halves of the FPU's state are at stake). The interrupt handler uses the others as it likes, since the loop does not.
 */
import { Assembler, al, at, ax, by, eax, ebp, ebx, ecx, edi, edx, esi, esp, type Memory } from "./asm-x86.ts";
import {
  CODE,
  COUNT_STRIDE,
  FAULTS,
  HEARTBEAT,
  HEARTBEAT_KEYS,
  PARAMETERS,
  TIMER_HZ,
} from "./heartbeat-map.ts";

/** Stacks of the other processors: enough for an exception's frame. */
const AP_STACKS = 0x4000;
const AP_STACK_SIZE = 64;
const BSP_STACK_END = 0x6000;
const LINE = 0x6000;
const INPUT = 0x6800;
const UNTIL_TICK = 0x6c00;
/** The secret as xmm0 holds it, its bits turned over in every other word; mm0 holds the first half. */
const SECRETS = 0x6c40;
const SCRATCH = 0x6c80;

/** The interrupt flag in eflags. */
const INTERRUPTS_ON = 1 << 9;

const CODE_SELECTOR = 0x08;
const DATA_SELECTOR = 0x10;

const UART = { data: 0x3f8, interruptEnable: 0x3f9, fifo: 0x3fa, line: 0x3fb, modem: 0x3fc, status: 0x3fd };
const RECEIVED = 1 << 0;
const TRANSMITTER_EMPTY = 1 << 5;
const FIFO_SIZE = 16;

const PIC = { command: 0x20, data: 0x21, command2: 0xa0, data2: 0xa1 };
const END_OF_INTERRUPT = 0x20;
const IRQ0_VECTOR = 0x20;
const VECTORS = 0x30;

const PIT = { channel0: 0x40, mode: 0x43, hz: 1193182 };
const I8042_COMMAND = 0x64;
const RESET_PULSE = 0xfe;
const DEBUG_EXIT = 0xf4;
const POWER_BUTTON_STATUS = 1 << 8;

const LAPIC = { id: 0xfee00020, spurious: 0xfee000f0, commandLow: 0xfee00300, lint0: 0xfee00350 };
/** Interrupt commands to all but the sender, edge-triggered, asserted (SDM volume 3, "Issuing interprocessor interrupts"). */
const INIT_OTHERS = 0x000c4500;
const START_OTHERS = 0x000c4600 | (CODE >> 12);

const fault = (name: (typeof FAULTS)[number]): number => FAULTS.indexOf(name);
const key = (name: keyof typeof HEARTBEAT_KEYS): number => HEARTBEAT_KEYS[name].charCodeAt(0);

/** The program, to be put at {@link CODE}, and the address at which the boot processor enters it. */
export function heartbeatProgram(): { code: Uint8Array; entry: number } {
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
  return { code: a.assemble(), entry: a.addressOf("boot") };
}

/** Counts in ebx and in RAM as fast as can be, until the two differ. */
function countingLoop(a: Assembler, label: string, count: Memory): void {
  a.label(label);
  a.inc(ebx);
  a.inc(count);
  a.cmp(ebx, count);
  a.jumpIf("equal", label);
  a.mov(eax, fault("count"));
  a.mov(ecx, ebx);
  a.mov(edx, count);
  a.jump("fault");
}

/** The start-up IPI enters here, in real mode, with the code segment at {@link CODE}. */
function otherProcessors(a: Assembler): void {
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
  a.add(esp, AP_STACKS + AP_STACK_SIZE);
  a.mov(esi, eax);
  a.add(esi, HEARTBEAT.COUNT);
  a.lockInc(at(HEARTBEAT.STARTED));
  a.mov(ebx, 0);
  a.mov(by(esi), ebx);
  countingLoop(a, "others count", by(esi));
}

function bootProcessor(a: Assembler): void {
  a.label("boot");
  a.cli();
  a.cld();
  a.lgdt("gdt pointer");
  a.farJump(CODE_SELECTOR, "flat");
  a.label("flat");
  a.mov(eax, DATA_SELECTOR);
  a.loadDataSegments();
  a.mov(esp, BSP_STACK_END);
  a.lidt("idt pointer");
  floatingPointOn(a);
  drawSecret(a);
  setUpUart(a);
  a.call("tick");
  setUpInterrupts(a);
  a.mov(ebx, at(HEARTBEAT.COUNT));
  a.sti();
  countingLoop(a, "count", at(HEARTBEAT.COUNT));
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
    a.mov(at(SECRETS + 4 * word), eax);
    a.xor(eax, -1);
  }
  a.loadXmm0(at(SECRETS));
  a.loadMm0(at(SECRETS));
}

/** 115200 baud, 8 data bits, FIFOs on and empty, no interrupts. */
function setUpUart(a: Assembler): void {
  a.outByte(UART.line, 0x83); // divisor latch access
  a.outByte(UART.data, 1);
  a.outByte(UART.interruptEnable, 0);
  a.outByte(UART.line, 0x03);
  a.outByte(UART.interruptEnable, 0);
  a.outByte(UART.fifo, 0x07);
  a.outByte(UART.modem, 0x03);
}

/** The timer through the 8259s as a virtual wire, and nothing else. */
function setUpInterrupts(a: Assembler): void {
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
  a.mov(at(UNTIL_TICK), HEARTBEAT.TICK_INTERRUPTS);
}

function timerInterrupt(a: Assembler): void {
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
  a.dec(at(UNTIL_TICK));
  a.jumpIf("notEqual", "timer done");
  a.mov(at(UNTIL_TICK), HEARTBEAT.TICK_INTERRUPTS);
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

/** One entry per exception, which pushes its vector. Those with an error code lose their address to it. */
function exceptions(a: Assembler): void {
  for (let vector = 0; vector < IRQ0_VECTOR; vector++) {
    a.label(`exception ${vector}`);
    a.push(vector);
    a.jump("exception");
  }
  a.label("exception");
  a.pop(ecx);
  a.pop(edx);
  a.mov(eax, fault("exception"));
  a.jump("fault");
}

/** Checks the secret wherever it is kept, takes input, and prints `tick n count c secret s`. */
function tick(a: Assembler): void {
  a.label("tick");
  a.mov(ecx, edi);
  sameWord(a, "secret-register", at(HEARTBEAT.SECRET));
  a.storeXmm0(at(SCRATCH));
  sameWords(a, "secret-xmm", 4);
  a.storeMm0(at(SCRATCH));
  sameWords(a, "secret-mmx", 2);
  a.cmp(at(HEARTBEAT.FAULT), 0);
  a.jumpIf("notEqual", "report"); // another processor's

  a.call("input");
  a.mov(ebp, LINE);
  print(a, "text tick");
  a.mov(eax, at(HEARTBEAT.TICKS));
  a.call("decimal");
  print(a, "text count");
  a.mov(edx, at(HEARTBEAT.COUNT));
  a.call("hex");
  print(a, "text secret");
  a.mov(edx, edi);
  a.call("hex");
  a.mov(esi, INPUT);
  a.cmp(by(esi), 0);
  a.jumpIf("equal", "no input");
  print(a, "text input");
  print(a, INPUT);
  a.label("no input");
  a.call("send line");
  a.inc(at(HEARTBEAT.TICKS));
  a.ret();
}

/** Goes to the fault unless ecx is what RAM says. */
function sameWord(a: Assembler, name: (typeof FAULTS)[number], expected: Memory): void {
  a.mov(eax, fault(name));
  a.mov(edx, expected);
  a.cmp(ecx, edx);
  a.jumpIf("notEqual", "fault");
}

function sameWords(a: Assembler, name: (typeof FAULTS)[number], count: number): void {
  for (let word = 0; word < count; word++) {
    a.mov(ecx, at(SCRATCH + 4 * word));
    sameWord(a, name, at(SECRETS + 4 * word));
  }
}

/** Gathers what the UART received, at most a FIFO of it, as a string at INPUT; obeys the keys. */
function input(a: Assembler): void {
  a.label("input");
  a.mov(edx, at(PARAMETERS.pm1aStatus));
  a.cmp(edx, 0);
  a.jumpIf("equal", "no button");
  a.in(ax);
  a.test(eax, POWER_BUTTON_STATUS);
  a.jumpIf("notEqual", "power off");
  a.label("no button");
  a.mov(ebp, INPUT);
  a.label("next byte");
  a.cmp(ebp, INPUT + FIFO_SIZE);
  a.jumpIf("equal", "input done");
  a.mov(edx, UART.status);
  a.in(al);
  a.test(al, RECEIVED);
  a.jumpIf("equal", "input done");
  a.mov(edx, UART.data);
  a.in(al);
  const keys = { powerOff: "power off", reset: "reset", debugExit: "debug exit", halt: "halt" };
  for (const [name, target] of Object.entries({ ...keys, tripleFault: "triple fault" })) {
    a.cmp(al, key(name as keyof typeof HEARTBEAT_KEYS));
    a.jumpIf("equal", target);
  }
  a.cmp(al, 0x20);
  a.jumpIf("below", "unprintable");
  a.cmp(al, 0x7e);
  a.jumpIf("above", "unprintable");
  a.label("keep");
  a.call("put");
  a.jump("next byte");
  a.label("unprintable");
  a.mov(al, ".".charCodeAt(0));
  a.jump("keep");
  a.label("input done");
  a.mov(by(ebp), 0);
  a.ret();
}

/** The ways to end. If the machine does not obey, nothing more happens. */
function endings(a: Assembler): void {
  a.label("power off");
  a.mov(edx, at(PARAMETERS.pm1aControl));
  a.mov(eax, at(PARAMETERS.powerOffValue));
  a.out(ax);
  a.jump("halt");

  a.label("reset");
  a.outByte(I8042_COMMAND, RESET_PULSE);
  a.jump("halt");

  a.label("debug exit");
  a.outByte(DEBUG_EXIT, 0);
  a.jump("halt");

  a.label("triple fault");
  a.lidt("empty pointer");
  a.ud2();

  a.label("halt");
  a.cli();
  a.hlt();
  a.jump("halt");
}

/** eax: what is wrong, ecx: the register's value, edx: the one in RAM. */
function faults(a: Assembler): void {
  a.label("fault");
  a.cli();
  a.mov(at(HEARTBEAT.FAULT_REGISTER), ecx);
  a.mov(at(HEARTBEAT.FAULT_MEMORY), edx);
  a.mov(ecx, at(LAPIC.id));
  a.shr(ecx, 24);
  a.mov(at(HEARTBEAT.FAULT_CPU), ecx);
  a.mov(at(HEARTBEAT.FAULT), eax);
  a.cmp(ecx, 0);
  a.jumpIf("notEqual", "halt"); // the boot processor reports it at its next tick

  a.label("report");
  a.mov(ebp, LINE);
  print(a, "text fault");
  a.mov(eax, at(HEARTBEAT.FAULT));
  a.shl(eax, 2);
  a.mov(esi, by(eax, "fault names"));
  a.call("string");
  print(a, "text cpu");
  a.mov(eax, at(HEARTBEAT.FAULT_CPU));
  a.call("decimal");
  print(a, "text register");
  a.mov(edx, at(HEARTBEAT.FAULT_REGISTER));
  a.call("hex");
  print(a, "text memory");
  a.mov(edx, at(HEARTBEAT.FAULT_MEMORY));
  a.call("hex");
  a.call("send line");
  a.jump("halt");
}

/** Appends the string at `address` to the line. */
function print(a: Assembler, address: number | string): void {
  a.mov(esi, address);
  a.call("string");
}

/** Routines that append to the line, whose end is ebp, and the one that sends it. They change eax, ecx, edx and esi. */
function printing(a: Assembler): void {
  a.label("put"); // al
  a.mov(by(ebp), al);
  a.inc(ebp);
  a.ret();

  a.label("put next");
  a.call("put");
  a.label("string"); // at esi
  a.lodsb();
  a.cmp(al, 0);
  a.jumpIf("notEqual", "put next");
  a.ret();

  a.label("decimal"); // eax; the digits come last one first, so the first ones are printed by the inner calls
  a.mov(ecx, 10);
  a.xor(edx, edx);
  a.div(ecx);
  a.push(edx);
  a.cmp(eax, 0);
  a.jumpIf("equal", "last digit");
  a.call("decimal");
  a.label("last digit");
  a.pop(eax);
  a.add(al, "0".charCodeAt(0));
  a.jump("put");

  a.label("hex"); // edx
  a.mov(ecx, 8);
  a.label("next digit");
  a.rol(edx, 4);
  a.mov(eax, edx);
  a.and(eax, 15);
  a.mov(al, by(eax, "digits"));
  a.call("put");
  a.dec(ecx);
  a.jumpIf("notEqual", "next digit");
  a.ret();

  a.label("send line");
  print(a, "text end");
  a.mov(esi, LINE);
  a.label("send more");
  a.mov(edx, UART.status);
  a.in(al);
  a.test(al, TRANSMITTER_EMPTY);
  a.jumpIf("equal", "send more");
  a.mov(edx, UART.data);
  a.mov(ecx, FIFO_SIZE);
  a.label("fill");
  a.cmp(esi, ebp);
  a.jumpIf("equal", "sent");
  a.lodsb();
  a.out(al);
  a.dec(ecx);
  a.jumpIf("notEqual", "fill");
  a.jump("send more");
  a.label("sent");
  a.ret();
}

function tables(a: Assembler): void {
  const strings = {
    digits: "0123456789abcdef",
    "text tick": "tick ",
    "text count": " count ",
    "text secret": " secret ",
    "text input": " input ",
    "text fault": "heartbeat: FAULT ",
    "text cpu": " cpu ",
    "text register": " register ",
    "text memory": " ram ",
    "text end": "\r\n",
  };
  for (const [label, text] of Object.entries(strings)) {
    a.label(label);
    a.text(text);
  }
  for (const name of FAULTS) {
    a.label(`fault ${name}`);
    a.text(name);
  }
  a.align(8);
  a.label("fault names");
  for (const name of FAULTS) a.dword(`fault ${name}`);
  descriptorTables(a);
}

function descriptorTables(a: Assembler): void {
  a.align(8);
  a.label("gdt");
  a.byte(0, 0, 0, 0, 0, 0, 0, 0);
  a.byte(0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0); // code: 4 GiB at 0, 32-bit
  a.byte(0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0); // data
  a.label("gdt pointer");
  a.word(3 * 8 - 1);
  a.dword("gdt");

  a.align(8);
  a.label("idt");
  for (let vector = 0; vector < VECTORS; vector++) {
    const isException = vector < IRQ0_VECTOR;
    a.word(isException ? `exception ${vector}` : vector === IRQ0_VECTOR ? "timer" : "timer done");
    a.word(CODE_SELECTOR);
    a.byte(0, 0x8e); // interrupt gate, 32-bit, present
    a.word(0); // the program is below 64 KiB
  }
  a.label("idt pointer");
  a.word(VECTORS * 8 - 1);
  a.dword("idt");
  a.label("empty pointer");
  a.word(0);
  a.dword(0);
}
