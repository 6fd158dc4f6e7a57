/** What the two threads of bench:exit say to each other, and the guest they run. */
import type { VcpuHandle } from "@vmm/vmm/accel/accelerator.ts";
import { Assembler, al, ecx, edx } from "@vmm/vmm/boot/asm-x86.ts";
import type { VmConfig } from "@vmm/vmm/config/vm-config.ts";

/** Ports of COM1: line status, and transmit holding register. */
const LSR = 0x3fd;
const THR = 0x3f8;
const DEBUG_EXIT = 0xf4;

const CODE = 0x1000;

/** What is measured: a read that a polling guest makes, and a write that sends a character. */
export const ACCESSES = ["LSR read", "THR write"] as const;
export type Access = (typeof ACCESSES)[number];

export interface ThreadStart {
  readonly config: VmConfig;
  readonly handle: VcpuHandle;
  readonly arena: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  readonly vm: number;
  /** Where the guest's loop of each access begins. */
  readonly entries: Readonly<Record<Access, number>>;
  /** Exits per round. */
  readonly exits: number;
  readonly rounds: number;
}

/** ns per exit, a value per round. */
export interface Measured {
  readonly bare: readonly number[];
  readonly served: readonly number[];
}

export type ThreadResult = Readonly<Record<Access, Measured>>;

/** The guest: a loop of `exits` accesses for each kind, and a write to the debug-exit port. */
export function guestCode(exits: number) {
  const a = new Assembler(CODE);
  const loop = (access: Access, port: number, body: () => void) => {
    a.label(access);
    a.mov(edx, port);
    a.mov(ecx, exits);
    a.label(`again ${access}`);
    body();
    a.dec(ecx);
    a.jumpIf("notEqual", `again ${access}`);
    a.outByte(DEBUG_EXIT, 0);
  };
  loop("LSR read", LSR, () => a.in(al));
  loop("THR write", THR, () => a.out(al));
  const entries = Object.fromEntries(ACCESSES.map((name) => [name, a.addressOf(name)]));
  return { address: CODE, code: a.assemble(), entries: entries as Record<Access, number> };
}
