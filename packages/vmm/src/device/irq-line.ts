/**
 * One interrupt line from a device to the interrupt controller. The level is kept in the arena, so every thread knows
 * it, and a level that does not change costs no system call.
 */
import { struct, u8 } from "@vmm/libc";
import type { RecordSchema, StateArena } from "../arena/state-arena.ts";

const IrqLineState = struct("irq-line", { level: u8 });

export const IRQ_LINE_SCHEMA: RecordSchema<{ level: typeof u8 }> = {
  kind: "irq-line",
  version: 1,
  compat: 1,
  layout: IrqLineState,
};

/** What drives a line: the accelerator's interrupt controller. Level 0 or 1. */
export type SetIrqLevel = (gsi: number, level: number) => void;

export class IrqLine {
  readonly gsi: number;
  readonly trigger: "edge" | "level";
  #state: { level: number };
  #drive: SetIrqLevel;

  constructor(arena: StateArena, gsi: number, trigger: "edge" | "level", drive: SetIrqLevel) {
    this.gsi = gsi;
    this.trigger = trigger;
    this.#state = arena.record(`irq${gsi}`, IRQ_LINE_SCHEMA);
    this.#drive = drive;
  }

  /** The level last set, 0 or 1. */
  get level(): number {
    return this.#state.level;
  }

  /** Sets the level. Call with the device lock held. */
  set(level: boolean): void {
    const wanted = level ? 1 : 0;
    if (this.#state.level === wanted) return;
    this.#state.level = wanted;
    this.#drive(this.gsi, wanted);
  }

  /**
   * Drives an asserted level-triggered line again after its state was loaded: KVM's IOAPIC state holds what is pending,
   * but not who holds the line up. An edge must not be repeated.
   */
  redrive(): void {
    if (this.trigger === "level" && this.#state.level) this.#drive(this.gsi, 1);
  }
}
