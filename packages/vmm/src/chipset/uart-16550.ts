/**
 * The 16550A serial port (National Semiconductor PC16550D data sheet), with a line of infinite speed: a byte is out as
 * soon as the host side takes it, and the FIFOs stand between the guest and a host side that is slow.
 *
 * Registers are kept as the guest sees them in the arena record, and reached through a byte view of it: a poll of the
 * line status by a guest that prints allocates nothing.
 */
import type { CharPort } from "../chardev/char-port.ts";
import type { Device, DeviceContext } from "../device/device.ts";
import type { IrqLine } from "../device/irq-line.ts";
import { ByteFifo, FIFO_DEPTH } from "./byte-fifo.ts";
import { ByteTarget } from "./byte-target.ts";
import {
  AT,
  FCR_CLEAR_RX,
  FCR_CLEAR_TX,
  FCR_ENABLE,
  FCR_KEPT,
  IER,
  IER_MASK,
  IER_MSI,
  IER_RDI,
  IER_RLSI,
  IER_THRI,
  IIR_FCR,
  IIR_FIFO_ON,
  IIR_LINE_STATUS,
  IIR_MODEM_STATUS,
  IIR_NONE,
  IIR_RX_DATA,
  IIR_RX_TIMEOUT,
  IIR_THR_EMPTY,
  LCR,
  LCR_DLAB,
  LSR,
  LSR_DATA_READY,
  LSR_ERRORS,
  LSR_OVERRUN,
  LSR_TX_EMPTY,
  MCR,
  MCR_DTR,
  MCR_LOOP,
  MCR_MASK,
  MCR_OUT1,
  MCR_OUT2,
  MCR_RTS,
  MSR,
  MSR_CHANGES,
  MSR_CONNECTED,
  MSR_CTS,
  MSR_DCD,
  MSR_DSR,
  MSR_LINES,
  MSR_RI,
  MSR_TRAILING_RI,
  RBR_THR,
  SCR,
  TRIGGER_LEVELS,
  UART_16550_SCHEMA,
  UART_PORTS,
} from "./uart-16550-registers.ts";

export interface Uart16550Options {
  readonly id: string;
  /** First port; 0x3f8 (COM1) where not given. */
  readonly base?: number;
  /** Interrupt line; 4 (COM1) where not given. */
  readonly irq?: number;
  /** The chardev's id; the UART's own where not given. */
  readonly chardev?: string;
}

export class Uart16550 extends ByteTarget implements Device {
  readonly id: string;
  /** First port. */
  readonly base: number;
  readonly irq: number;
  readonly #state: Uint8Array;
  readonly #rx: ByteFifo;
  readonly #tx: ByteFifo;
  readonly #port: CharPort;
  readonly #line: IrqLine;
  /** Of the main thread alone, which gets the port's events. Until the first `resume` all is as in a pause. */
  #paused = true;

  constructor(context: DeviceContext, options: Uart16550Options) {
    super();
    this.id = options.id;
    this.base = options.base ?? 0x3f8;
    this.irq = options.irq ?? 4;
    this.#state = context.arena.record(this.id, UART_16550_SCHEMA).$bytes;
    this.#rx = new ByteFifo(this.#state, AT.rxHead, AT.rxCount, AT.rx);
    this.#tx = new ByteFifo(this.#state, AT.txHead, AT.txCount, AT.tx);
    this.#line = context.irq(this.irq, "edge");
    this.#port = context.chardev(options.chardev ?? this.id);
    this.#port.onEvent(() => {
      if (!this.#paused) this.#catchUp();
    });
    context.pio.claim({ name: this.id, base: this.base, size: UART_PORTS, target: this });
  }

  reset(): void {
    this.#state.fill(0);
    this.#state[AT.dll] = 12; // 9600 baud, as PC firmware leaves it
    this.#state[AT.lsr] = LSR_TX_EMPTY;
    this.#state[AT.msr] = MSR_CONNECTED;
    this.#line.set(false);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#catchUp();
  }

  postLoad(): void {
    this.#rx.repair();
    this.#tx.repair();
  }

  protected override readByte(offset: number): number {
    switch (offset) {
      case RBR_THR:
        return this.#get(AT.lcr) & LCR_DLAB ? this.#get(AT.dll) : this.#receiveBuffer();
      case IER:
        return this.#get(AT.lcr) & LCR_DLAB ? this.#get(AT.dlm) : this.#get(AT.ier);
      case IIR_FCR:
        return this.#identifyInterrupt();
      case LCR:
        return this.#get(AT.lcr);
      case MCR:
        return this.#get(AT.mcr);
      case LSR:
        return this.#lineStatus();
      case MSR:
        return this.#modemStatus();
      case SCR:
        return this.#get(AT.scr);
      default:
        return 0xff;
    }
  }

  protected override writeByte(offset: number, value: number): void {
    switch (offset) {
      case RBR_THR:
        if (this.#get(AT.lcr) & LCR_DLAB) this.#state[AT.dll] = value;
        else this.#transmit(value);
        break;
      case IER:
        if (this.#get(AT.lcr) & LCR_DLAB) this.#state[AT.dlm] = value;
        else this.#enableInterrupts(value & IER_MASK);
        break;
      case IIR_FCR:
        this.#controlFifos(value);
        break;
      case LCR:
        this.#state[AT.lcr] = value;
        break;
      case MCR:
        this.#controlModem(value & MCR_MASK);
        break;
      case SCR:
        this.#state[AT.scr] = value;
        break;
    }
  }

  #get(at: number): number {
    return this.#state[at] as number;
  }

  #setLineStatus(bits: number): void {
    this.#state[AT.lsr] = this.#get(AT.lsr) | bits;
  }

  #clearLineStatus(bits: number): void {
    this.#state[AT.lsr] = this.#get(AT.lsr) & ~bits;
  }

  /** Takes up what happened on the host side: bytes came, or room came back. */
  #catchUp(): void {
    this.#refill();
    this.#drain();
    this.#updateLine();
  }

  /** What each direction holds: with the FIFOs off, a lone register. */
  #depth(): number {
    return this.#get(AT.fcr) & FCR_ENABLE ? FIFO_DEPTH : 1;
  }

  // Receiver

  #receiveBuffer(): number {
    const value = this.#rx.shift();
    if (this.#rx.count === 0) this.#clearLineStatus(LSR_DATA_READY);
    this.#refill();
    this.#updateLine();
    return value;
  }

  /**
   * Moves bytes from the port into the FIFO while there is room, so that a guest that reads until the FIFO is empty gets
   * all there is without another interrupt. In loopback the receiver is cut off from the port.
   */
  #refill(): void {
    if (this.#get(AT.mcr) & MCR_LOOP) return;
    while (this.#rx.count < this.#depth()) {
      const value = this.#port.read();
      if (value < 0) return;
      this.#receive(value);
    }
  }

  /** A byte arrives. Where there is no room, a FIFO loses the new byte and a lone register the old one. */
  #receive(value: number): void {
    if (this.#rx.count >= this.#depth()) {
      this.#setLineStatus(LSR_OVERRUN);
      if (this.#depth() > 1) return;
      this.#rx.clear();
    }
    this.#rx.push(value);
    this.#setLineStatus(LSR_DATA_READY);
  }

  // Transmitter

  #transmit(value: number): void {
    if (this.#get(AT.mcr) & MCR_LOOP) {
      this.#receive(value);
      this.#state[AT.thrEmpty] = 1;
    } else if (this.#get(AT.lsr) & LSR_TX_EMPTY && this.#port.canWrite()) {
      this.#port.write(value);
      if (this.#port.canWrite()) this.#state[AT.thrEmpty] = 1;
      else this.#transmitterBusy();
    } else {
      this.#transmitterBusy();
      // The rest of a burst that the guest began while there was room. What exceeds the FIFO is lost, as in the chip.
      if (this.#tx.count < this.#depth()) this.#tx.push(value);
    }
    this.#updateLine();
  }

  #transmitterBusy(): void {
    this.#state[AT.thrEmpty] = 0;
    this.#clearLineStatus(LSR_TX_EMPTY);
  }

  /** Hands queued bytes to the port as far as it takes them. */
  #drain(): void {
    if (this.#get(AT.lsr) & LSR_TX_EMPTY) return;
    while (this.#port.canWrite()) {
      if (this.#tx.count === 0) {
        this.#setLineStatus(LSR_TX_EMPTY);
        this.#state[AT.thrEmpty] = 1;
        return;
      }
      this.#port.write(this.#tx.shift());
    }
  }

  // Interrupts

  /** The highest interrupt that is enabled and pending, as IIR names it. */
  #interruptSource(): number {
    const ier = this.#get(AT.ier);
    if (ier === 0) return IIR_NONE;
    const lsr = this.#get(AT.lsr);
    if (ier & IER_RLSI && lsr & LSR_ERRORS) return IIR_LINE_STATUS;
    if (ier & IER_RDI && lsr & LSR_DATA_READY) return this.#receiveSource();
    if (ier & IER_THRI && this.#get(AT.thrEmpty)) return IIR_THR_EMPTY;
    if (ier & IER_MSI && this.#get(AT.msr) & MSR_CHANGES) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  /**
   * Below the trigger level the data counts as timed out at once: the FIFO is filled as far as the port has bytes, so no
   * more would have come within the four character times that the chip waits.
   */
  #receiveSource(): number {
    const fcr = this.#get(AT.fcr);
    if (!(fcr & FCR_ENABLE)) return IIR_RX_DATA;
    const trigger = TRIGGER_LEVELS[fcr >> 6] as number;
    return this.#rx.count >= trigger ? IIR_RX_DATA : IIR_RX_TIMEOUT;
  }

  #updateLine(): void {
    this.#line.set(this.#interruptSource() !== IIR_NONE);
  }

  #identifyInterrupt(): number {
    const source = this.#interruptSource();
    if (source === IIR_THR_EMPTY) {
      this.#state[AT.thrEmpty] = 0;
      this.#updateLine();
    }
    return this.#get(AT.fcr) & FCR_ENABLE ? source | IIR_FIFO_ON : source;
  }

  /** Enabling the transmitter-empty interrupt while the transmitter is empty raises it: drivers start output that way. */
  #enableInterrupts(ier: number): void {
    const rising = ier & ~this.#get(AT.ier);
    this.#state[AT.ier] = ier;
    if (rising & IER_THRI && this.#get(AT.lsr) & LSR_TX_EMPTY) this.#state[AT.thrEmpty] = 1;
    this.#updateLine();
  }

  // Control and status

  /** A guest that polls sees room come back at once, before the main thread has heard of it. */
  #lineStatus(): number {
    if (!(this.#get(AT.lsr) & LSR_TX_EMPTY)) {
      this.#drain();
      this.#updateLine();
    }
    const lsr = this.#get(AT.lsr);
    if (lsr & LSR_ERRORS) {
      this.#clearLineStatus(LSR_ERRORS);
      this.#updateLine();
    }
    return lsr;
  }

  #modemStatus(): number {
    const msr = this.#get(AT.msr);
    if (msr & MSR_CHANGES) {
      this.#state[AT.msr] = msr & MSR_LINES;
      this.#updateLine();
    }
    return msr;
  }

  #controlFifos(value: number): void {
    const enable = value & FCR_ENABLE;
    const toggled = enable !== (this.#get(AT.fcr) & FCR_ENABLE);
    // The other bits take effect only together with the enable bit; turning the FIFOs on or off empties both.
    this.#state[AT.fcr] = enable ? value & FCR_KEPT : 0;
    if (toggled || (enable && value & FCR_CLEAR_RX)) {
      this.#rx.clear();
      this.#clearLineStatus(LSR_DATA_READY | LSR_ERRORS);
    }
    if (toggled || (enable && value & FCR_CLEAR_TX)) this.#tx.clear();
    this.#catchUp();
  }

  #controlModem(mcr: number): void {
    this.#state[AT.mcr] = mcr;
    const before = this.#get(AT.msr);
    const lines = mcr & MCR_LOOP ? loopedLines(mcr) : MSR_CONNECTED;
    const changed = (before ^ lines) & MSR_LINES;
    let changes = (before & MSR_CHANGES) | ((changed & ~MSR_RI) >> 4);
    if (changed & before & MSR_RI) changes |= MSR_TRAILING_RI;
    this.#state[AT.msr] = lines | changes;
    this.#catchUp();
  }
}

/** In loopback the modem control outputs drive the modem status inputs. */
function loopedLines(mcr: number): number {
  let lines = 0;
  if (mcr & MCR_RTS) lines |= MSR_CTS;
  if (mcr & MCR_DTR) lines |= MSR_DSR;
  if (mcr & MCR_OUT1) lines |= MSR_RI;
  if (mcr & MCR_OUT2) lines |= MSR_DCD;
  return lines;
}
