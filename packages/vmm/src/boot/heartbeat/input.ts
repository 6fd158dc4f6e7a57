/** What can be asked of the heartbeat guest, and how it ends. */
import { type Assembler, al, at, ax, by, eax, ebp, edx } from "../asm-x86.ts";
import {
  DEBUG_EXIT,
  FIFO_SIZE,
  I8042_COMMAND,
  POWER_BUTTON_STATUS,
  PRIVATE,
  RECEIVED,
  RESET_PULSE,
  UART,
} from "./hardware.ts";
import { HEARTBEAT_KEYS, PARAMETERS } from "./map.ts";

/** A key's character code. */
const key = (name: keyof typeof HEARTBEAT_KEYS): number => HEARTBEAT_KEYS[name].charCodeAt(0);

/** Gathers what the UART received, at most a FIFO of it, as a string at INPUT; obeys the keys. */
export function input(a: Assembler): void {
  a.label("input");
  a.mov(edx, at(PARAMETERS.pm1aStatus));
  a.cmp(edx, 0);
  a.jumpIf("equal", "no button");
  a.in(ax);
  a.test(eax, POWER_BUTTON_STATUS);
  a.jumpIf("notEqual", "power off");
  a.label("no button");
  a.mov(ebp, PRIVATE.INPUT);
  a.label("next byte");
  a.cmp(ebp, PRIVATE.INPUT + FIFO_SIZE);
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
export function endings(a: Assembler): void {
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
