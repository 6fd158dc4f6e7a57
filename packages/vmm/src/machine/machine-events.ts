/** What happens to the machine, for whoever listens: the names and data of QMP's events. */

export interface MachineEvents {
  STOP: Record<string, never>;
  RESUME: Record<string, never>;
  RESET: { guest: boolean; reason: string };
  SHUTDOWN: { guest: boolean; reason: string };
  POWERDOWN: Record<string, never>;
  SUSPEND: Record<string, never>;
  GUEST_PANICKED: { action: string; info?: Record<string, unknown> };
  MIGRATION: { status: string };
}

export type MachineEventName = keyof MachineEvents;
type Listener = (name: MachineEventName, data: MachineEvents[MachineEventName]) => void;

export class EventSource {
  #listeners = new Set<Listener>();
  #held: (() => void)[] | undefined;

  /** Calls `listener` for every event; the result ends that. */
  on(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Tells nobody of what happens until the event loop comes round: for work during which the guest stands still, and that
   * needs no telling of.
   */
  hold(): void {
    if (this.#held) return;
    this.#held = [];
    setImmediate(() => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const tell of held) tell();
    });
  }

  emit<N extends MachineEventName>(name: N, data: MachineEvents[N]): void {
    if (this.#held) {
      this.#held.push(() => this.emit(name, data));
      return;
    }
    for (const listener of this.#listeners) listener(name, data);
  }
}
