/** The heartbeat guest's UART: set-up, and lines of text. */
import { type Assembler, al, by, eax, ebp, ecx, edx, esi } from "../asm-x86.ts";
import { FIFO_SIZE, PRIVATE, TRANSMITTER_EMPTY, UART } from "./hardware.ts";

/** 115200 baud, 8 data bits, FIFOs on and empty, no interrupts. */
export function setUpUart(a: Assembler): void {
  a.outByte(UART.line, 0x83); // divisor latch access
  a.outByte(UART.data, 1);
  a.outByte(UART.interruptEnable, 0);
  a.outByte(UART.line, 0x03);
  a.outByte(UART.interruptEnable, 0);
  a.outByte(UART.fifo, 0x07);
  a.outByte(UART.modem, 0x03);
}

/** Appends the string at `address` to the line. */
export function print(a: Assembler, address: number | string): void {
  a.mov(esi, address);
  a.call("string");
}

/** Routines that append to the line, whose end is ebp, and the one that sends it. They change eax, ecx, edx and esi. */
export function printing(a: Assembler): void {
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
  a.mov(esi, PRIVATE.LINE);
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
