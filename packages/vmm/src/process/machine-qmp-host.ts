/** The machine as QMP drives it. */
import { getpid } from "@vmm/libc";
import type { Chardev, ChardevInfo } from "../chardev/index.ts";
import type { Machine } from "../machine/machine.ts";
import { mtreeText } from "../machine/mtree-text.ts";
import type { QmpEvents, QmpHost, QmpMigration } from "../qmp/qmp-host.ts";
import type { RunState } from "../run-state/index.ts";
import { VERSION } from "../version.ts";
import { VmmError } from "../vmm-error.ts";

export interface MachineQmpHostOptions {
  readonly machine: Machine;
  readonly migration: QmpMigration;
  readonly chardevs: readonly Chardev[];
  /** Present where the VM waits for its state; see `QmpHost.incoming`. */
  readonly incoming?: NonNullable<QmpHost["incoming"]>;
}

export class MachineQmpHost implements QmpHost {
  readonly name: string;
  readonly version = VERSION;
  readonly events: QmpEvents;
  readonly migration: QmpMigration;
  readonly incoming?: NonNullable<QmpHost["incoming"]>;
  #machine: Machine;
  #chardevs: readonly Chardev[];

  constructor({ machine, migration, chardevs, incoming }: MachineQmpHostOptions) {
    this.name = machine.config.name;
    this.events = machine.events;
    this.migration = migration;
    this.#machine = machine;
    this.#chardevs = chardevs;
    if (incoming) this.incoming = incoming;
  }

  runState(): RunState {
    return this.#machine.runState.current;
  }

  stop(): void {
    if (this.#isAwaitingGuest) this.#machine.autostart = false;
    else this.#machine.stop();
  }

  cont(): void {
    if (this.#isAwaitingGuest) this.#machine.autostart = true;
    else this.#machine.cont();
  }

  /** As in QEMU, `stop` and `cont` decide then whether the guest is to run once it has come. */
  get #isAwaitingGuest(): boolean {
    return this.runState() === "inmigrate";
  }

  reset(): void {
    if (this.#isAwaitingGuest) throw new VmmError("run-state", "Guest is waiting for an incoming migration");
    this.#machine.systemReset("host-qmp-system-reset");
  }

  powerdown(): void {
    this.#machine.systemPowerdown();
  }

  quit(): void {
    this.#machine.end({ reason: "host-qmp-quit", status: 0 });
  }

  cpus(): { index: number; tid: number }[] {
    const { vm, control } = this.#machine;
    // until a vCPU has a thread, as in a guest that is paused since before an update, the main thread stands for it
    return vm.vcpus.map(({ index }) => ({ index, tid: control.vcpu(index).tid || getpid() }));
  }

  chardevs(): ChardevInfo[] {
    return this.#chardevs.map((chardev) => chardev.info());
  }

  memorySummary(): { base: number; plugged: number } {
    return { base: this.#machine.config.memory.size, plugged: 0 };
  }

  kvm(): { enabled: boolean; present: boolean } {
    const enabled = this.#machine.vm.name === "kvm";
    return { enabled, present: enabled };
  }

  registersText(cpu: number): string {
    return this.#machine.whilePaused(() => `${this.#machine.vm.vcpus[cpu]?.describeRegisters() ?? ""}\n`);
  }

  mtreeText(): string {
    return mtreeText(this.#machine);
  }
}
