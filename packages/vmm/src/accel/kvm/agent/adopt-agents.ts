/**
 * Taking vCPUs over from the agents that have run them since the program before gave them away. Until `hold` the guest
 * runs; from there to the first KVM_RUN of ours it stands still.
 */
import type { FdTable, SavedRecord } from "@vmm/cpr";
import { faultPoint } from "@vmm/cpr/incoming";
import {
  close,
  kill,
  killIfThere,
  MAP_SHARED,
  memoryView,
  mmap,
  monotonicNs,
  munmap,
  PROT_READ,
  PROT_WRITE,
  SIGKILL,
  SYS,
} from "@vmm/libc";
import { VmmError } from "../../../vmm-error.ts";
import type { AdoptedVcpus, ExitTargets } from "../../accelerator.ts";
import { ExitDispatch } from "../exit-dispatch.ts";
import { KICK_SIGNAL } from "../kvm-runner.ts";
import { readHere, writeHere } from "../state-read.ts";
import { KVM_RUN, RUN } from "../uapi/kvm.ts";
import { vcpuReads } from "../vcpu-state.ts";
import { vmReads } from "../vm-state.ts";
import { type AgentHandle, AgentMemory } from "./agent-control.ts";
import { AGENT_FDS, type AgentInfo } from "./agent-info.ts";
import { reap, reapIfEnded } from "./agent-process.ts";
import { RemoteReads } from "./remote-reads.ts";

/** What the vCPUs are loaded into. */
export interface AgentTarget {
  readonly runSize: number;
  readonly vmFd: number;
  vcpuFd(index: number): number;
  loadVcpu(vcpu: number, records: ReadonlyMap<string, SavedRecord>, elapsedNs: number): void;
  /** Loads what belongs to the VM as a whole: after all vCPUs. */
  loadVm(records: ReadonlyMap<string, SavedRecord>, elapsedNs: number): void;
  /** Loads what finishing an access changes of a vCPU. */
  loadFinished(vcpu: number, records: ReadonlyMap<string, SavedRecord>): void;
}

/** What is read of the vCPUs and of the VM. */
interface States {
  readonly vcpus: readonly ReturnType<typeof vcpuReads>[];
  readonly vm: ReturnType<typeof vmReads>;
}

interface Adopted {
  readonly pid: number;
  readonly agent: AgentHandle;
  readonly reads: RemoteReads;
  /** The old vCPU's run structure, mapped, and its fd here. */
  readonly run: { readonly view: DataView; readonly address: number; readonly fd: number };
}

export class AdoptedAgents implements AdoptedVcpus {
  readonly #info: AgentInfo;
  readonly #fds: FdTable;
  readonly #memory: AgentMemory;
  readonly #vcpus: readonly Adopted[];
  readonly #target: AgentTarget;
  /** State that does not change while an agent runs the vCPU, such as its CPUID. */
  readonly #fixed: readonly SavedRecord[];
  #stillSinceNs = 0;
  /** What `load` reads, where it is prepared. */
  #states: States | undefined;

  constructor(info: AgentInfo, fds: FdTable, target: AgentTarget, fixed: readonly SavedRecord[]) {
    this.#info = info;
    this.#fds = fds;
    this.#target = target;
    this.#fixed = fixed;
    this.#memory = new AgentMemory(this.#fd(AGENT_FDS.control, 0), info.vcpus.length);
    this.#vcpus = info.vcpus.map(({ pid }, index) => {
      const fd = this.#fd(AGENT_FDS.vcpu, index);
      const length = target.runSize;
      const address = mmap({ length, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
      const agent = this.#memory.of(index);
      const run = { view: new DataView(memoryView(address, length)), address, fd };
      return { pid, agent, reads: new RemoteReads(agent, info.base, index), run };
    });
  }

  rehearse(): void {
    // saving and loading what a new VM begins with changes nothing, and leaves the code of both ready to run
    const { vcpus, vm } = this.#newStates();
    vcpus.forEach((state, index) => {
      const fd = this.#target.vcpuFd(index);
      readHere(fd, state.reads);
      this.#target.loadVcpu(index, byName([...this.#fixed, ...state.records()]), 0);
      if (state.writes) writeHere(fd, state.writes, (read) => read.buffer);
    });
    readHere(this.#target.vmFd, vm.reads);
    this.#target.loadVm(byName(vm.records()), 0);
    this.#states = this.#prepare();
  }

  #newStates(): States {
    const vcpus = this.#info.vcpus.map(({ features }, index) => vcpuReads(`cpu${index}`, features));
    return { vcpus, vm: vmReads() };
  }

  /** Lays out what is to be read: of each vCPU by its agent, of the VM by the first. */
  #prepare(): States {
    const states = this.#newStates();
    this.#vcpus.forEach(({ reads }, index) => {
      const own = { fd: this.#vcpu(index).fd, reads: (states.vcpus[index] as States["vcpus"][number]).reads };
      if (index === 0) reads.prepare(own, { fd: this.#info.vmFd, reads: states.vm.reads });
      else reads.prepare(own);
    });
    return states;
  }

  hold(): void {
    faultPoint("hold-vcpus");
    this.#vcpus.forEach(({ pid }, index) => {
      if (reapIfEnded(pid))
        throw new VmmError(
          "accel",
          `the agent that ran vCPU ${index} has ended, and the vCPU's state with it`,
        );
    });
    const held = this.#vcpus.filter(({ agent }) => agent.hold());
    for (const { pid } of held) kill(pid, KICK_SIGNAL);
    for (const { agent } of held) agent.awaitParked();
    this.#stillSinceNs = Math.min(...this.#vcpus.map(({ agent }) => agent.parkedNs));
  }

  load(): void {
    faultPoint("load-vcpus");
    const readNs = monotonicNs();
    const { vcpus, vm } = this.#states ?? this.#prepare();
    // from here on the agents may be asked for other things
    this.#states = undefined;
    for (const { reads } of this.#vcpus) reads.begin();
    // one is loaded while the agents of the next ones still read
    vcpus.forEach((state, index) => {
      this.#loadVcpu(index, state, readNs);
    });
    this.#vcpus[0]?.reads.collect(vm.reads);
    this.#target.loadVm(byName(vm.records()), monotonicNs() - readNs);
  }

  /** As it was read where this host's KVM takes it so, else by its records, which tell what it does not take. */
  #loadVcpu(index: number, { reads, writes, records }: States["vcpus"][number], readNs: number): void {
    faultPoint("load-vcpu");
    const remote = (this.#vcpus[index] as Adopted).reads;
    remote.finish();
    if (writes && writeHere(this.#target.vcpuFd(index), writes, remote.given)) return;
    remote.collect(reads);
    const saved = byName([...this.#fixed, ...records()]);
    this.#target.loadVcpu(index, saved, monotonicNs() - readNs);
  }

  settle(targets: ExitTargets): void {
    this.#vcpus.forEach((vcpu, index) => {
      if (!vcpu.agent.exitPending) return;
      const { fd, features } = this.#vcpu(index);
      const dispatch = new ExitDispatch(vcpu.run.view, targets, index);
      do {
        dispatch.serve();
        vcpu.run.view.setUint8(RUN.IMMEDIATE_EXIT, 1);
      } while (vcpu.reads.call(SYS.ioctl, [fd, KVM_RUN.number, 0]) >= 0);
      const state = vcpuReads(`cpu${index}`, features);
      vcpu.reads.prepare({ fd, reads: state.reads });
      vcpu.reads.begin();
      vcpu.reads.finish();
      vcpu.reads.collect(state.reads);
      this.#target.loadFinished(index, byName(state.records()));
    });
  }

  letGo(): void {
    for (const { agent } of this.#vcpus) if (agent.parked && !agent.exitPending) agent.command("run");
  }

  standstills(runNs: number): { fromNs: number; toNs: number }[] {
    return [this.#info.handOff, { fromNs: this.#stillSinceNs, toNs: runNs }];
  }

  async release(): Promise<void> {
    for (const { pid, run } of this.#vcpus) {
      killIfThere(pid, SIGKILL);
      munmap(run.address, this.#target.runSize);
      close(run.fd);
    }
    this.#fds.deleteFd(AGENT_FDS.control, 0);
    this.#vcpus.forEach((_, index) => void this.#fds.deleteFd(AGENT_FDS.vcpu, index));
    this.#memory.close();
    await Promise.all(this.#vcpus.map(({ pid }) => reap(pid)));
  }

  #fd(name: string, id: number): number {
    const fd = this.#fds.findFd(name, id);
    if (fd === undefined)
      throw new VmmError("state", `the fd "${name}" (id ${id}) of a vCPU that runs on is missing`);
    return fd;
  }

  #vcpu(index: number): AgentInfo["vcpus"][number] {
    return this.#info.vcpus[index] as AgentInfo["vcpus"][number];
  }
}

const byName = (records: readonly SavedRecord[]) => new Map(records.map((record) => [record.name, record]));
