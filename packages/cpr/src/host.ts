/**
 * What live update asks of the machine. `packages/vmm` implements it; nothing here knows of KVM or of devices.
 *
 * Calls come from the main thread. Between `stop` and `resume` (or the exec) everything is synchronous: nothing else
 * runs on the main thread.
 */
import type { FdTable } from "./fd-table.ts";
import type { IdTable } from "./id-table.ts";
import type { JsonObject } from "./json-check.ts";
import type { MigrationStatus } from "./migration/status.ts";
import type { MigrationMode } from "./modes.ts";
import type { Environment } from "./persist.ts";
import type { SavedRecord } from "./state/record.ts";
import type { UndoLog } from "./undo-log.ts";

/** What was in a file before it became a guest's RAM. */
export interface EarlierContents {
  /** When the file was changed last, in ns since 1970, as it was found. */
  readonly modifiedNs: bigint;
  /** Makes all of the RAM zeros, as that of a new file is. No vCPU runs. */
  empty(): void;
}

/** A block of guest RAM, as the checks need it. */
export interface RamBlock {
  /** The memory backend's id, or the name of a region that no backend describes. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /** Whether it is a shared mapping of an fd: only then another process can have the same memory. */
  readonly shared: boolean;
  /** `backend`: from a memory backend object. `aux`: tables and ROMs, governed by `aux-ram-share`. */
  readonly origin: "backend" | "aux";
  /** Of a backend on a named file: its path. cpr-reboot leaves such RAM in place. */
  readonly path?: string;
  /** First address in this process. */
  readonly address: number;
  /** The file that holds it, where there is one. */
  readonly fd?: number;
  /** Of a file that this machine did not make and no live update brought. */
  readonly earlier?: EarlierContents;
}

export interface CprHost {
  /** The version of this program, for headers and reports. */
  readonly version: string;
  /** What survives an update. Devices and backends save their fds and ids here as they create them. */
  readonly fds: FdTable;
  readonly ids: IdTable;
  /** Variables of the next program; `process.env`. */
  readonly environment: Environment;
  /**
   * The command line that started this VMM, argv[0] first, such that running it again with CPR state in the environment
   * continues this VM. Run anew it is searched on PATH; as the old command it is run from the very file in memory.
   */
  readonly command: readonly string[];

  /** QEMU's name of the run state, such as `running` or `paused`. */
  runState(): string;
  /** Whether the guest cannot run again before it is reset: the run state goes with it then. */
  needsReset?(): boolean;
  /** Whether vCPUs run now. */
  isRunning(): boolean;
  ramBlocks(): readonly RamBlock[];
  /** What the state's header is to say of the machine, such as its name. Small, and not needed to load the state. */
  describe(): JsonObject;
  /** What a process needs to build the same machine: goes into states that outlive this one. */
  configuration?(): JsonObject;

  /**
   * Waits for a moment from which on the guest, which runs, is likely to need no device for a while, but not for long.
   *
   * @param goOn Throws where there is no point in waiting any more.
   */
  awaitLull?(goOn: () => void): Promise<void>;
  /**
   * From here on signals that end the process wait for the next program, or for the result to be called: nobody could act
   * upon them. Resolves when those that came before were heard.
   */
  holdSignals?(): Promise<() => void>;
  /**
   * The program is replaced right after `stop`, which comes next: the vCPUs may run on meanwhile, as long as they need no
   * device.
   *
   * @param undo What gives up what was made ready for that, unless they run on by then: that is for `resume` to end.
   * @param limitMs How long the next program may take.
   * @returns The pids of who is to run them. They are children of this process.
   */
  prepareRunOn?(undo: UndoLog, limitMs: number): readonly number[];
  /**
   * Stops the vCPUs, then the devices, and goes to run state `finish-migrate`. On a stopped machine: the devices only.
   *
   * @param begins To be called when all is ready, a millisecond at most before the first vCPU is told to stop: from then on
   *   the guest's time is taken.
   */
  stop(mode: MigrationMode, begins: () => void): void;
  /**
   * Undoes `stop`, or what of it was done where it threw: devices, then vCPUs, back to the run state of before. A machine
   * that did not run stays stopped.
   */
  resume(): void;
  /** Takes all irqfds off the VM (an eventfd serves one VM at a time); the result assigns them again. After `stop`. */
  detachIrqfds(): () => void;
  /**
   * All state of vCPUs and devices. After `stop` and `detachIrqfds`.
   *
   * @param undo Where saving changes something, such as giving up DMA mappings, what takes it back belongs here. It is
   *   called before the irqfds come back and the machine resumes.
   */
  saveState(undo: UndoLog): readonly SavedRecord[];
  /**
   * The guest, which runs, is about to be stopped: time for all that makes the pause shorter.
   *
   * @param undo What ends that again. It is called before the guest resumes; `stateSent` is to do it as well.
   */
  prepareStop?(undo: UndoLog): void;
  /** The state is on its way to who may run the guest next: nobody waits for this process from here on. */
  stateSent?(): void;
  /**
   * Records of the same names, kinds and sizes as `saveState` would give, while the guest runs. Their contents may be
   * torn: a preflight only looks at whether they could be loaded.
   */
  previewState(): readonly SavedRecord[];

  /** Fds whose last close takes so long that it is not to fall into an exec. */
  slowFds?(): readonly number[];
  /** Gives up what a new program on the same terminal must not inherit, such as raw mode; the result undoes it. */
  leaveTerminal?(): () => void;
  /**
   * The migration is completed, and the guest is stopped here: run state `postmigrate`.
   *
   * @param handedOver Another process runs the guest now: this one must never do so again, and should end. Otherwise the
   *   user may let it go on.
   */
  postmigrate(handedOver: boolean): void;
  /** The migration's status changed: a MIGRATION event. */
  statusChanged(status: MigrationStatus): void;
  /** One line for the log: what the user may want to know of an update. */
  log?(line: string): void;
}
