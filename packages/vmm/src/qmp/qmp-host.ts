/** What QMP asks of the machine. The machine's process implements it; nothing here knows of KVM or of devices. */
import type {
  Capabilities,
  MigrateArguments,
  MigrationInfo,
  MigrationParameters,
  PreflightReport,
} from "@vmm/cpr";
import type { ChardevInfo } from "../chardev/chardev.ts";
import type { RunState } from "../run-state/index.ts";

/** Something that happened, with the name and the data of QMP's event. */
export interface QmpEvents {
  /** Calls `listener` for every event; the result ends that. */
  on(listener: (name: string, data: Readonly<Record<string, unknown>>) => void): () => void;
}

/** Of `@vmm/cpr`'s `Migration`, what QMP uses. */
export interface QmpMigration {
  info(): MigrationInfo;
  readonly parameters: MigrationParameters;
  setParameters(change: Readonly<Record<string, unknown>>): void;
  readonly capabilities: Capabilities;
  setCapabilities(
    changes: readonly { readonly capability: string; readonly state: boolean }[],
  ): Promise<void>;
  /** Resolves once the migration is under way. */
  migrate(args: MigrateArguments): Promise<void>;
  cancel(): void;
  continue(status: string): void;
  preflight(): Promise<PreflightReport>;
}

/** Where the state comes from, as `migrate-incoming` has it. */
export interface IncomingArguments {
  readonly uri?: string;
  readonly channels?: unknown;
  /** Whether the process ends where the state cannot be loaded. Yes, where left out. */
  readonly exitOnError?: boolean;
}

/** Methods may answer at once or later. What they throw is told to the client by its message. */
export interface QmpHost {
  readonly name: string;
  /** This VMM's version, such as `1.2.3`. */
  readonly version: string;
  readonly events: QmpEvents;
  readonly migration: QmpMigration;

  runState(): RunState;
  stop(): void | Promise<void>;
  cont(): void | Promise<void>;
  reset(): void | Promise<void>;
  powerdown(): void | Promise<void>;
  /** Begins the end. The process must not be gone before the answer is: see `QmpServer.close`. */
  quit(): void;

  /** The vCPUs by index, each with its thread's id. */
  cpus(): readonly { readonly index: number; readonly tid: number }[];
  chardevs(): readonly ChardevInfo[];
  /** Sizes in bytes. */
  memorySummary(): { readonly base: number; readonly plugged: number };
  /** Whether KVM runs this guest, and whether this host has it. */
  kvm(): { readonly enabled: boolean; readonly present: boolean };

  /** A vCPU's registers, as QEMU's `info registers` shows them; without the vCPU's number. */
  registersText(cpu: number): string;
  /** The guest's address spaces and what is where in them, as QEMU's `info mtree`; lines end in `\n`. */
  mtreeText(): string;
  /** `migrate-incoming`. Absent where the VM was not started with `--incoming defer`. */
  incoming?(args: IncomingArguments): void | Promise<void>;
}
