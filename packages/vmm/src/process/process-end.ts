/** The end of a VMM process: what it wrote is flushed, what it made is removed. */
import type { Chardev } from "../chardev/chardev.ts";
import { removeFolder } from "../config/folder-claim.ts";
import { vmPaths } from "../config/runtime-folder.ts";
import type { Machine, MachineEnd } from "../machine/machine.ts";
import { hearSignals } from "./end-signals.ts";
import { passEndOn } from "./pass-end-on.ts";

export interface ProcessParts {
  readonly machine: Machine;
  readonly chardevs: readonly Chardev[];
  /** Ends what else is under way; resolves when nothing is. */
  readonly settle: () => Promise<void>;
  /** Takes clients' last answers and events out; resolves when that is done, or took too long. */
  readonly closeControl: () => Promise<void>;
  /** Of a process that waits for a guest which others run until then: ends it. False where it lives on all the same. */
  readonly endWaiting?: () => Promise<boolean>;
}

/** Time for what is under way to be taken back, or to go (ms). An end has its limit too: the rest ends with the process. */
const SETTLE_MS = 5000;

const atMost = (ms: number, work: Promise<unknown>) => Promise.race([work, Bun.sleep(ms)]);

export class ProcessEnd {
  readonly #parts: ProcessParts;
  /** Whether it is the VM that is to end, since somebody has said so. */
  #ordered = false;
  #begun = false;

  constructor(parts: ProcessParts) {
    this.#parts = parts;
  }

  /** Begins the end of the process. While it is under way: what is asked for besides is noted. */
  begin(end: MachineEnd): void {
    this.#ordered ||= end.reason === "host-qmp-quit" || end.reason === "host-signal";
    if (this.#begun) return;
    this.#begun = true;
    void this.#run(end);
  }

  async #run(end: MachineEnd): Promise<never> {
    const { machine, chardevs, settle, closeControl } = this.#parts;
    const paths = vmPaths(machine.config.folder);
    await atMost(SETTLE_MS, settle());
    // an update that was taken back has let the guest run again
    if (machine.running) machine.pauseExecution();
    // the folder is another process's then
    const livesOn = machine.runState.handedOver || !(await this.#endWaiting());
    await closeControl();
    for (const chardev of chardevs) chardev.close(livesOn);
    if (machine.runState.handedOver) {
      await hearSignals();
      if (this.#ordered) await passEndOn(paths.qmp);
    }
    // a failed VM leaves its log behind for whoever looks for the reason
    if (!livesOn && end.reason !== "host-error") removeFolder(paths);
    // 0 after a signal asked for the end, as after `quit`: that is a way to end well
    process.exit(end.status);
  }

  /** A process that fails leaves a guest that waits to the keeper. */
  async #endWaiting(): Promise<boolean> {
    const { machine, endWaiting } = this.#parts;
    if (!this.#ordered || !endWaiting || machine.runState.current !== "inmigrate") return true;
    const ended = await atMost(SETTLE_MS, endWaiting());
    return ended !== false;
  }
}
