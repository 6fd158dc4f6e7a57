/** What the heartbeat guest does at each tick. */
import { type Assembler, at, by, eax, ebp, ecx, edi, edx, esi, type Memory } from "../asm-x86.ts";
import { print } from "./console.ts";
import { faultNumber } from "./faults.ts";
import { PRIVATE } from "./hardware.ts";
import { type FAULTS, HEARTBEAT } from "./map.ts";

/** Checks the secret wherever it is kept, takes input, and prints `tick n count c secret s`. */
export function tick(a: Assembler): void {
  a.label("tick");
  a.mov(ecx, edi);
  sameWord(a, "secret-register", at(HEARTBEAT.SECRET));
  a.storeXmm0(at(PRIVATE.SCRATCH));
  sameWords(a, "secret-xmm", 4);
  a.storeMm0(at(PRIVATE.SCRATCH));
  sameWords(a, "secret-mmx", 2);
  a.cmp(at(HEARTBEAT.FAULT), 0);
  a.jumpIf("notEqual", "report"); // another processor's

  a.call("input");
  a.mov(ebp, PRIVATE.LINE);
  print(a, "text tick");
  a.mov(eax, at(HEARTBEAT.TICKS));
  a.call("decimal");
  print(a, "text count");
  a.mov(edx, at(HEARTBEAT.COUNT));
  a.call("hex");
  print(a, "text secret");
  a.mov(edx, edi);
  a.call("hex");
  a.mov(esi, PRIVATE.INPUT);
  a.cmp(by(esi), 0);
  a.jumpIf("equal", "no input");
  print(a, "text input");
  print(a, PRIVATE.INPUT);
  a.label("no input");
  a.call("send line");
  a.inc(at(HEARTBEAT.TICKS));
  a.ret();
}

/** Goes to the fault unless ecx is what RAM says. */
function sameWord(a: Assembler, name: (typeof FAULTS)[number], expected: Memory): void {
  a.mov(eax, faultNumber(name));
  a.mov(edx, expected);
  a.cmp(ecx, edx);
  a.jumpIf("notEqual", "fault");
}

function sameWords(a: Assembler, name: (typeof FAULTS)[number], count: number): void {
  for (let word = 0; word < count; word++) {
    a.mov(ecx, at(PRIVATE.SCRATCH + 4 * word));
    sameWord(a, name, at(HEARTBEAT.SECRET_WORDS + 4 * word));
  }
}
