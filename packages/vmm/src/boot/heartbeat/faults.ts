/** What the heartbeat guest does about a fault: writes it down, tells it on the UART, and stops counting. */
import { type Assembler, at, by, eax, ebp, ecx, edx, esi } from "../asm-x86.ts";
import { print } from "./console.ts";
import { LAPIC, PRIVATE } from "./hardware.ts";
import { FAULTS, HEARTBEAT } from "./map.ts";

/** A fault's number. */
export const faultNumber = (name: (typeof FAULTS)[number]): number => FAULTS.indexOf(name);

/** eax: what is wrong, ecx: the register's value, edx: the one in RAM. */
export function faults(a: Assembler): void {
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
  a.mov(ebp, PRIVATE.LINE);
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
