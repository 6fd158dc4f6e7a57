/** Waits for the deadlines of device timers, in the main thread, with one host timer for the earliest. */
import type { DeviceHost } from "./device-host.ts";

/** setTimeout takes a 32-bit count of ms; later deadlines are looked at again then. */
const LONGEST_MS = 2 ** 31 - 1;

export class TimerService {
  #host: DeviceHost;
  #timeout: ReturnType<typeof setTimeout> | undefined;
  #running = false;

  constructor(host: DeviceHost) {
    this.#host = host;
  }

  /** Starts to call timers that expire; those that expired meanwhile are called at once. */
  resume(): void {
    this.#running = true;
    this.update();
  }

  pause(): void {
    this.#running = false;
    clearTimeout(this.#timeout);
  }

  /** Looks at the deadlines anew: after one changed, or came. */
  update(): void {
    if (!this.#running) return;
    clearTimeout(this.#timeout);
    const next = this.#host.lock.with(() => this.#expire());
    if (next === undefined) return;
    const ms = Math.ceil((next - this.#host.clock.now()) / 1e6);
    this.#timeout = setTimeout(() => this.update(), Math.min(Math.max(ms, 0), LONGEST_MS));
  }

  /** Calls what is due. Returns the earliest deadline that is left, in ns of the VM clock. */
  #expire(): number | undefined {
    const now = this.#host.clock.now();
    for (const { timer, expire } of this.#host.timers) {
      if (timer.deadline !== 0 && timer.deadline <= now) {
        timer.disarm();
        expire();
      }
    }
    const armed = this.#host.timers.map(({ timer }) => timer.deadline).filter((deadline) => deadline !== 0);
    return armed.length > 0 ? Math.min(...armed) : undefined;
  }
}
