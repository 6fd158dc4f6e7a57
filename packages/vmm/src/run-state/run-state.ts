/**
 * Run states with QEMU's names (`RunState` in qapi/run-state.json) and QEMU's rules of which may follow which
 * (`system/runstate.c` of QEMU 10).
 */
import { VmmError } from "../vmm-error.ts";

export const RUN_STATES = [
  "debug",
  "inmigrate",
  "internal-error",
  "io-error",
  "paused",
  "postmigrate",
  "prelaunch",
  "finish-migrate",
  "restore-vm",
  "running",
  "save-vm",
  "shutdown",
  "suspended",
  "watchdog",
  "guest-panicked",
] as const;

export type RunState = (typeof RUN_STATES)[number];

/** What may follow each state. A state may also follow itself. */
export const RUN_STATE_TRANSITIONS: Readonly<Record<RunState, readonly RunState[]>> = {
  debug: ["running", "finish-migrate", "prelaunch", "suspended"],
  inmigrate: [
    "internal-error",
    "io-error",
    "paused",
    "running",
    "shutdown",
    "suspended",
    "watchdog",
    "guest-panicked",
    "finish-migrate",
    "prelaunch",
    "postmigrate",
  ],
  "internal-error": ["paused", "finish-migrate", "prelaunch"],
  "io-error": ["running", "finish-migrate", "prelaunch"],
  paused: ["running", "finish-migrate", "postmigrate", "prelaunch", "suspended"],
  postmigrate: ["running", "finish-migrate", "prelaunch"],
  prelaunch: ["running", "finish-migrate", "inmigrate", "suspended"],
  "finish-migrate": [
    "running",
    "paused",
    "postmigrate",
    "prelaunch",
    "internal-error",
    "io-error",
    "shutdown",
    "suspended",
    "watchdog",
    "guest-panicked",
  ],
  "restore-vm": ["running", "prelaunch", "suspended"],
  running: [
    "debug",
    "internal-error",
    "io-error",
    "paused",
    "finish-migrate",
    "restore-vm",
    "save-vm",
    "shutdown",
    "watchdog",
    "guest-panicked",
    "suspended",
  ],
  "save-vm": ["running", "suspended"],
  shutdown: ["paused", "finish-migrate", "prelaunch"],
  suspended: ["running", "finish-migrate", "prelaunch", "paused", "save-vm", "restore-vm", "shutdown"],
  watchdog: ["running", "finish-migrate", "prelaunch"],
  "guest-panicked": ["running", "finish-migrate", "prelaunch"],
};

/** Whether `text` names a run state, such as one that was saved by another version. */
export function isRunState(text: string): text is RunState {
  return (RUN_STATES as readonly string[]).includes(text);
}

/** Whether a guest in that state cannot run again before it is reset. */
export const needsReset = (state: string): state is RunState =>
  state === "internal-error" || state === "shutdown";

/** The run state of one machine. */
export class RunStateMachine {
  #current: RunState;
  #handedOver = false;

  /** @param initial Where it begins; `prelaunch` as in QEMU. */
  constructor(initial: RunState = "prelaunch") {
    this.#current = initial;
  }

  get current(): RunState {
    return this.#current;
  }

  /** Whether `state` may come next. */
  canSet(state: RunState): boolean {
    if (this.#handedOver && state !== this.#current) return false;
    return state === this.#current || RUN_STATE_TRANSITIONS[this.#current].includes(state);
  }

  /** @throws VmmError `run-state` where the transition is not a legal one; the state stays as it was. */
  set(state: RunState): void {
    if (!this.canSet(state)) {
      throw new VmmError("run-state", `invalid run state transition: "${this.#current}" to "${state}"`);
    }
    this.#current = state;
  }

  /** The guest lives on in another process: `postmigrate`, and nothing after that. */
  handOver(): void {
    this.set("postmigrate");
    this.#handedOver = true;
  }

  get handedOver(): boolean {
    return this.#handedOver;
  }

  /** Whether the guest is not ours to run or to change: it is on its way to another process, or there. */
  get isTaken(): boolean {
    return this.#current === "finish-migrate" || this.#handedOver;
  }

  /**
   * To be asked before whatever lets the guest run, or changes it.
   *
   * @throws VmmError `run-state` while a migration has the guest. What it has saved may be loaded elsewhere at any moment,
   *   with this very RAM.
   */
  checkOurs(): void {
    if (!this.isTaken) return;
    const where = "The guest runs in another process by now: connect again";
    throw new VmmError("run-state", this.#handedOver ? where : "Migration is not finalized yet");
  }

  /** Whether only a reset leads on: what ended the guest is not undone by `cont`. */
  get needsReset(): boolean {
    return needsReset(this.#current);
  }
}
