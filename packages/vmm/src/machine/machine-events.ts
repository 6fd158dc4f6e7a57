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

  /** Calls `listener` for every event; the result ends that. */
  on(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  emit<N extends MachineEventName>(name: N, data: MachineEvents[N]): void {
    for (const listener of this.#listeners) listener(name, data);
  }
}
