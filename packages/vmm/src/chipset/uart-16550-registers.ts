/** Registers of the 16550A (PC16550D data sheet, section 8) and the record that holds a UART's state. */

import type { RecordSchema } from "@vmm/cpr";
import { bytes, struct, u8 } from "@vmm/libc";
import { FIFO_DEPTH } from "./byte-fifo.ts";

const Uart16550State = struct("uart-16550", {
  /** Divisor latch. The line has no speed, so it is only remembered. */
  dll: u8,
  dlm: u8,
  ier: u8,
  /** FIFO control as last written, without the self-clearing bits. */
  fcr: u8,
  lcr: u8,
  mcr: u8,
  lsr: u8,
  msr: u8,
  scr: u8,
  /** 1 while the transmitter-empty interrupt waits to be seen in IIR. */
  thrEmpty: u8,
  rxHead: u8,
  rxCount: u8,
  txHead: u8,
  txCount: u8,
  /** Received bytes, a ring that starts at `rxHead`. */
  rx: bytes(FIFO_DEPTH),
  /** Bytes that the host side has not taken yet, a ring that starts at `txHead`. */
  tx: bytes(FIFO_DEPTH),
});

export const UART_16550_SCHEMA = {
  kind: "uart-16550",
  version: 1,
  compat: 1,
  layout: Uart16550State,
} satisfies RecordSchema;

/** Where each field lies in the record. */
export const AT = Uart16550State.offsets;

/** Number of ports a UART takes. */
export const UART_PORTS = 8;

// Registers by offset; what a write to 2 means differs from what a read gives.
export const RBR_THR = 0;
export const IER = 1;
export const IIR_FCR = 2;
export const LCR = 3;
export const MCR = 4;
export const LSR = 5;
export const MSR = 6;
export const SCR = 7;

// Interrupt enable.
export const IER_RDI = 0x01;
export const IER_THRI = 0x02;
export const IER_RLSI = 0x04;
export const IER_MSI = 0x08;
export const IER_MASK = 0x0f;

// Interrupt identification, in falling priority. Bits 6 and 7 tell that the FIFOs are on.
export const IIR_LINE_STATUS = 0x06;
export const IIR_RX_DATA = 0x04;
export const IIR_RX_TIMEOUT = 0x0c;
export const IIR_THR_EMPTY = 0x02;
export const IIR_MODEM_STATUS = 0x00;
export const IIR_NONE = 0x01;
export const IIR_FIFO_ON = 0xc0;

// FIFO control.
export const FCR_ENABLE = 0x01;
export const FCR_CLEAR_RX = 0x02;
export const FCR_CLEAR_TX = 0x04;
/** What stays of a write: enable, DMA mode, trigger level. */
export const FCR_KEPT = 0xc9;
/** Receive trigger levels in bytes, by bits 6 and 7. */
export const TRIGGER_LEVELS = Uint8Array.of(1, 4, 8, 14);

export const LCR_DLAB = 0x80;

// Modem control, and the status lines its bits drive in loopback.
export const MCR_DTR = 0x01;
export const MCR_RTS = 0x02;
export const MCR_OUT1 = 0x04;
export const MCR_OUT2 = 0x08;
export const MCR_LOOP = 0x10;
export const MCR_MASK = 0x1f;

// Line status.
export const LSR_DATA_READY = 0x01;
export const LSR_OVERRUN = 0x02;
export const LSR_ERRORS = 0x1e;
/** THR empty and transmitter empty: with a line of infinite speed they come and go together. */
export const LSR_TX_EMPTY = 0x60;

// Modem status: lines in the high half, what changed in the low half.
export const MSR_CTS = 0x10;
export const MSR_DSR = 0x20;
export const MSR_RI = 0x40;
export const MSR_DCD = 0x80;
export const MSR_LINES = 0xf0;
export const MSR_CHANGES = 0x0f;
/** The ring indicator reports only its trailing edge. */
export const MSR_TRAILING_RI = 0x04;
/** What a connected peer that is ready to receive drives. */
export const MSR_CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD;
