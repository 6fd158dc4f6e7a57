/** The hardware that the heartbeat guest drives, and the RAM that it keeps to itself. */
import { CODE } from "./map.ts";

/** RAM within DATA that nobody else looks at. */
export const PRIVATE = {
  /** Stacks of the other processors: enough for an exception's frame. */
  AP_STACKS: 0x4000,
  BSP_STACK_END: 0x6000,
  /** The line that is being printed. */
  LINE: 0x6000,
  /** What came in over the UART, as a string. */
  INPUT: 0x6800,
  /** Timer interrupts until the next tick. */
  UNTIL_TICK: 0x6c00,
  /** Where registers go to be compared. */
  SCRATCH: 0x6c80,
} as const;

export const AP_STACK_SIZE = 64;

/** The interrupt flag in eflags. */
export const INTERRUPTS_ON = 1 << 9;
export const CODE_SELECTOR = 0x08;
export const DATA_SELECTOR = 0x10;
/** Vectors with an entry in the descriptor table: exceptions, then the 16 lines of the 8259s. */
export const VECTORS = 0x30;
export const IRQ0_VECTOR = 0x20;

export const UART = {
  data: 0x3f8,
  interruptEnable: 0x3f9,
  fifo: 0x3fa,
  line: 0x3fb,
  modem: 0x3fc,
  status: 0x3fd,
} as const;
export const RECEIVED = 1 << 0;
export const TRANSMITTER_EMPTY = 1 << 5;
export const FIFO_SIZE = 16;

export const PIC = { command: 0x20, data: 0x21, command2: 0xa0, data2: 0xa1 } as const;
export const END_OF_INTERRUPT = 0x20;

export const PIT = { channel0: 0x40, mode: 0x43, hz: 1193182 } as const;

export const I8042_COMMAND = 0x64;
export const RESET_PULSE = 0xfe;
export const DEBUG_EXIT = 0xf4;
export const POWER_BUTTON_STATUS = 1 << 8;

export const LAPIC = {
  id: 0xfee00020,
  spurious: 0xfee000f0,
  commandLow: 0xfee00300,
  lint0: 0xfee00350,
} as const;
/** Interrupt commands to all but the sender, edge-triggered, asserted (SDM volume 3, "Issuing interprocessor interrupts"). */
export const INIT_OTHERS = 0x000c4500;
export const START_OTHERS = 0x000c4600 | (CODE >> 12);
