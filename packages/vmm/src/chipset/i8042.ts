/**
 * The keyboard controller of a PC (Intel 8042) with nothing plugged in. It answers every question a driver asks, so that
 * probing is quick, and it resets the machine, which is what guests without ACPI use it for.
 */
import type { RecordSchema } from "@vmm/cpr";
import { struct, u8 } from "@vmm/libc";
import type { Device, DeviceContext } from "../device/device.ts";
import type { IrqLine } from "../device/irq-line.ts";
import { ByteTarget } from "./byte-target.ts";

const I8042State = struct("i8042", {
  /** What the next read of the data port gives. */
  output: u8,
  status: u8,
  /** The command byte: what is enabled. */
  mode: u8,
  /** The command that waits for its argument at the data port; 0 where none does. */
  pending: u8,
});

export const I8042_SCHEMA = {
  kind: "i8042",
  version: 1,
  compat: 1,
  layout: I8042State,
} satisfies RecordSchema;

const DATA_PORT = 0x60;
const COMMAND_PORT = 0x64;
const KEYBOARD_IRQ = 1;

// Status.
const OUTPUT_FULL = 0x01;
const SYSTEM_FLAG = 0x04;
const LAST_WAS_COMMAND = 0x08;
const UNLOCKED = 0x10;
const TIMEOUT = 0x40;

// The command byte.
const MODE_KEYBOARD_IRQ = 0x01;
const MODE_SYSTEM_FLAG = 0x04;
const MODE_KEYBOARD_OFF = 0x10;
const MODE_AUX_OFF = 0x20;

const COMMAND = {
  readMode: 0x20,
  writeMode: 0x60,
  auxOff: 0xa7,
  auxOn: 0xa8,
  testAux: 0xa9,
  selfTest: 0xaa,
  testKeyboard: 0xab,
  keyboardOff: 0xad,
  keyboardOn: 0xae,
  readInputPort: 0xc0,
  readOutputPort: 0xd0,
  writeOutputPort: 0xd1,
  writeKeyboardOutput: 0xd2,
  writeAuxOutput: 0xd3,
  writeAux: 0xd4,
  /** From here on: pulses the output lines whose bits are 0; line 0 is the processor's reset. */
  pulse: 0xf0,
} as const;

const TAKES_ARGUMENT: ReadonlySet<number> = new Set([
  COMMAND.writeMode,
  COMMAND.writeOutputPort,
  COMMAND.writeKeyboardOutput,
  COMMAND.writeAuxOutput,
  COMMAND.writeAux,
]);

const SELF_TEST_PASSED = 0x55;
const LINE_GOOD = 0x00;
const CLOCK_STUCK_LOW = 0x01;
/** What the controller puts in the place of an answer that never came. */
const NO_ANSWER = 0xfe;
/** Output port: line 0 is the reset, active low; line 1 the A20 gate, always open here. */
const OUTPUT_LINES = 0x03;
const RESET_LINE = 0x01;

export class I8042 extends ByteTarget implements Device {
  readonly id: string;
  readonly #state: ReturnType<typeof I8042State.at>;
  readonly #line: IrqLine;
  readonly #context: DeviceContext;

  constructor(context: DeviceContext, id = "i8042") {
    super();
    this.id = id;
    this.#context = context;
    this.#state = context.arena.record(id, I8042_SCHEMA);
    this.#line = context.irq(KEYBOARD_IRQ, "edge");
    context.pio.claim({ name: `${id} data`, base: DATA_PORT, size: 1, target: this });
    const command = {
      read: () => this.#state.status,
      write: (_offset: number, _size: number, value: number) => this.#command(value & 0xff),
    };
    context.pio.claim({ name: `${id} command`, base: COMMAND_PORT, size: 1, target: command });
  }

  reset(): void {
    this.#state.output = 0;
    this.#state.status = SYSTEM_FLAG | UNLOCKED;
    this.#state.mode = MODE_SYSTEM_FLAG | MODE_KEYBOARD_OFF | MODE_AUX_OFF;
    this.#state.pending = 0;
    this.#line.set(false);
  }

  protected override readByte(offset: number): number {
    if (offset !== 0) return 0xff;
    this.#state.status &= ~(OUTPUT_FULL | TIMEOUT);
    this.#line.set(false);
    return this.#state.output;
  }

  protected override writeByte(offset: number, value: number): void {
    if (offset !== 0) return;
    const command = this.#state.pending;
    this.#state.pending = 0;
    this.#state.status &= ~LAST_WAS_COMMAND;
    if (command === COMMAND.writeMode) this.#setMode(value);
    else if (command === COMMAND.writeOutputPort) this.#driveReset((value & RESET_LINE) === 0);
    // An auxiliary byte that is looped back is told from a keyboard's by a status bit; without a port there is none.
    else if (command === COMMAND.writeKeyboardOutput || command === COMMAND.writeAuxOutput)
      this.#answer(value);
    else this.#answer(NO_ANSWER, TIMEOUT);
  }

  #command(command: number): void {
    const state = this.#state;
    state.status |= LAST_WAS_COMMAND;
    state.pending = TAKES_ARGUMENT.has(command) ? command : 0;
    if (command === COMMAND.selfTest) state.status |= SYSTEM_FLAG;
    const answer = this.#answerTo(command);
    if (answer !== undefined) this.#answer(answer);
    else this.#setMode(changedMode(state.mode, command));
    this.#driveReset(command >= COMMAND.pulse && (command & RESET_LINE) === 0);
  }

  #answerTo(command: number): number | undefined {
    switch (command) {
      case COMMAND.readMode:
        return this.#state.mode;
      case COMMAND.testAux:
        return CLOCK_STUCK_LOW;
      case COMMAND.selfTest:
        return SELF_TEST_PASSED;
      case COMMAND.testKeyboard:
        return LINE_GOOD;
      case COMMAND.readInputPort:
        return 0;
      case COMMAND.readOutputPort:
        return OUTPUT_LINES;
      default:
        return undefined;
    }
  }

  /** Puts a byte into the output buffer. */
  #answer(value: number, flags = 0): void {
    this.#state.output = value;
    this.#state.status = (this.#state.status & ~TIMEOUT) | OUTPUT_FULL | flags;
    this.#updateLine();
  }

  #setMode(mode: number): void {
    this.#state.mode = mode;
    this.#updateLine();
  }

  #updateLine(): void {
    this.#line.set((this.#state.status & OUTPUT_FULL) !== 0 && (this.#state.mode & MODE_KEYBOARD_IRQ) !== 0);
  }

  #driveReset(pulsed: boolean): void {
    if (pulsed) this.#context.request("reset");
  }
}

/** The command byte after one of the commands that turn a port on or off. */
function changedMode(mode: number, command: number): number {
  switch (command) {
    case COMMAND.auxOff:
      return mode | MODE_AUX_OFF;
    case COMMAND.auxOn:
      return mode & ~MODE_AUX_OFF;
    case COMMAND.keyboardOff:
      return mode | MODE_KEYBOARD_OFF;
    case COMMAND.keyboardOn:
      return mode & ~MODE_KEYBOARD_OFF;
    default:
      return mode;
  }
}
