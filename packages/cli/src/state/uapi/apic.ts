/** Registers of the local APIC by their offset in its page (Intel SDM volume 3, table 12-1; `asm/apicdef.h`). */

/** Registers of 32 bits. */
export const APIC_REGISTERS = {
  id: 0x20,
  version: 0x30,
  tpr: 0x80,
  ldr: 0xd0,
  dfr: 0xe0,
  svr: 0xf0,
  esr: 0x280,
  icr_low: 0x300,
  icr_high: 0x310,
  lvt_timer: 0x320,
  lvt_thermal: 0x330,
  lvt_perf: 0x340,
  lvt_lint0: 0x350,
  lvt_lint1: 0x360,
  lvt_error: 0x370,
  initial_count: 0x380,
  current_count: 0x390,
  divide: 0x3e0,
} as const;

/** Sets of 256 vectors: eight words of 32 bits, 16 bytes apart. */
export const APIC_VECTOR_SETS = { isr: 0x100, tmr: 0x180, irr: 0x200 } as const;

/* A local vector table entry, and the low half of an IOAPIC redirection entry, which has the same bits. */
export const VECTOR_MASK = 0xff;
export const DELIVERY_SHIFT = 8;
export const DELIVERY_MASK = 7;
export const LOGICAL_DESTINATION = 1 << 11;
export const DELIVERY_PENDING = 1 << 12;
export const ACTIVE_LOW = 1 << 13;
export const REMOTE_IRR = 1 << 14;
export const LEVEL_TRIGGERED = 1 << 15;
export const MASKED = 1 << 16;
/** Of the timer's entry: bits 17 and 18. */
export const TIMER_MODE_SHIFT = 17;

export const DELIVERY_MODES = ["fixed", "lowest", "SMI", "?", "NMI", "INIT", "?", "ExtINT"] as const;
export const TIMER_MODES = ["one-shot", "periodic", "TSC deadline", "?"] as const;

/** Of the spurious interrupt register: the APIC is on. */
export const SVR_ENABLED = 1 << 8;
