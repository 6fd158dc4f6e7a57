/**
 * Where the heartbeat guest keeps what it knows, for whoever watches it from outside: guest-physical addresses, each of a
 * little-endian u32. Words that change often have a cache line of their own.
 */

/** Bytes from one vCPU's count to the next. */
export const COUNT_STRIDE = 64;

/** Timer interrupts per second. */
export const TIMER_HZ = 100;

/** Timer interrupts from one tick line to the next. */
export const TICK_INTERRUPTS = 20;

export const HEARTBEAT = {
  /** How far the boot processor has counted; that of the vCPU with APIC id `n` is `COUNT_STRIDE * n` bytes on. Wraps. */
  COUNT: 0x2000,
  /** Tick lines printed: the `n` of the next line. */
  TICKS: 0x3000,
  /** Timer interrupts taken. */
  INTERRUPTS: 0x3040,
  /** What the guest drew at its start and also holds in edi. */
  SECRET: 0x3080,
  /** Four words: the secret, with its bits turned over in every other one. xmm0 holds them, and mm0 the first two. */
  SECRET_WORDS: 0x3090,
  /** vCPUs other than the boot processor that count. */
  STARTED: 0x30c0,
  /** 0, or the {@link FAULTS} number of the first thing found wrong; the three words after it say what was found. */
  FAULT: 0x3100,
  /** APIC id of the vCPU that found it. */
  FAULT_CPU: 0x3104,
  /** The value in the register. */
  FAULT_REGISTER: 0x3108,
  /** The value that was expected: the one in RAM. */
  FAULT_MEMORY: 0x310c,
  /** To be written from outside: not 0 has the processors that only count halt for good, as idle ones do. */
  HALT_OTHERS: 0x3140,
  /** To be written from outside: not 0 has the boot processor halt after each count until an interrupt comes. */
  REST: 0x3180,
} as const;

/** What can be wrong, by its number in {@link HEARTBEAT.FAULT} and as `heartbeat: FAULT ...` names it. */
export const FAULTS = [
  "none",
  /** The count in the register is not the one in RAM: an instruction or a store was lost or repeated. */
  "count",
  /** The secret is not what it was, in a general register... */
  "secret-register",
  /** ... in xmm0 ... */
  "secret-xmm",
  /** ... in mm0, which is an x87 register. */
  "secret-mmx",
  /** The processor raised an exception; the register's value is its vector, the other one the address. */
  "exception",
] as const;

/** What a byte on the UART makes the guest do; any other byte is printed in the next tick line. */
export const HEARTBEAT_KEYS = {
  powerOff: "q",
  reset: "r",
  debugExit: "e",
  halt: "h",
  tripleFault: "t",
} as const;

/** Where the program goes. A start-up IPI takes a page number below 1 MiB, so it is page-aligned. */
export const CODE = 0x8000;

/** RAM that the program uses beside its code: counts, what it tells, stacks, lines. All zero at the start... */
export const DATA = { start: 0x2000, end: 0x8000 } as const;

/** ... but for what the loader tells it: a u32 each. */
export const PARAMETERS = {
  /** I/O port of the ACPI PM1a control register. */
  pm1aControl: 0x7000,
  /** What to write there to power off. */
  powerOffValue: 0x7004,
  /** I/O port of the PM1a status register, or 0. */
  pm1aStatus: 0x7008,
} as const;
