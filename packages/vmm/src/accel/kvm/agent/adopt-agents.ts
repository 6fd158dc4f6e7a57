/**
 * Taking vCPUs over from the agents that have run them since the program before gave them away. Until `hold` the guest
 * runs; from there to the first KVM_RUN of ours it stands still.
 */
import type { FdTable, SavedRecord } from "@vmm/cpr";
import { faultPoint } from "@vmm/cpr/incoming";
import {
  close,
  kill,
  MAP_SHARED,
  memoryView,
  mmap,
  monotonicNs,
  munmap,
  PROT_READ,
  PROT_WRITE,
  SYS,
} from "@vmm/libc";
import { VmmError } from "../../../vmm-error.ts";
import type { AdoptedVcpus, ExitTargets } from "../../accelerator.ts";
import { ExitDispatch } from "../exit-dispatch.ts";
import { KICK_SIGNAL } from "../kvm-runner.ts";
import { readHere } from "../state-read.ts";
import { KVM_RUN, RUN } from "../uapi/kvm.ts";
import { vcpuReads } from "../vcpu-state.ts";
import { vmReads } from "../vm-state.ts";
import { type AgentHandle, AgentMemory } from "./agent-control.ts";
import { AGENT_FDS, type AgentInfo } from "./agent-info.ts";
import { killIfThere, reap, reapIfEnded } from "./agent-process.ts";
import { RemoteReads } from "./remote-reads.ts";

/** What the vCPUs are loaded into. */
export interface AgentTarget {
  readonly runSize: number;
  readonly vmFd: number;
  vcpuFd(index: number): number;
  /** Loads everything. */
  load(records: ReadonlyMap<string, SavedRecord>, elapsedNs: number): void;
  /** Loads what finishing an access changes of a vCPU. */
  loadFinished(vcpu: number, records: ReadonlyMap<string, SavedRecord>): void;
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
  #states: ReturnType<typeof vcpuReads>[] | undefined;

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
    const states = this.#info.vcpus.map(({ features }, index) => vcpuReads(`cpu${index}`, features));
    states.forEach((state, index) => {
      readHere(this.#target.vcpuFd(index), state.reads);
    });
    const vm = vmReads();
    readHere(this.#target.vmFd, vm.reads);
    const records = [...this.#fixed, ...states.flatMap((state) => state.records()), ...vm.records()];
    this.#target.load(byName(records), 0);
    this.#states = this.#prepare();
  }

  /** Lays out what is to be read of each vCPU. */
  #prepare() {
    return this.#vcpus.map(({ reads }, index) => {
      const { fd, features } = this.#vcpu(index);
      const state = vcpuReads(`cpu${index}`, features);
      reads.prepare(fd, state.reads);
      return state;
    });
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
    const states = this.#states ?? this.#prepare();
    // what is read of the VM takes the place of what was prepared
    this.#states = undefined;
    for (const { reads } of this.#vcpus) reads.begin();
    for (const { reads } of this.#vcpus) reads.finish();
    const vm = vmReads();
    const [first] = this.#vcpus;
    first?.reads.prepare(this.#info.vmFd, vm.reads);
    first?.reads.begin();
    first?.reads.finish();
    const records = [...this.#fixed, ...states.flatMap((state) => state.records()), ...vm.records()];
    this.#target.load(byName(records), monotonicNs() - readNs);
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
      vcpu.reads.prepare(fd, state.reads);
      vcpu.reads.begin();
      vcpu.reads.finish();
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
      killIfThere(pid);
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
