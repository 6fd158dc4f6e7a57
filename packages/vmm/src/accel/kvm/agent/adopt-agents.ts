/**
 * Taking vCPUs over from the agents that have run them since the program before gave them away. Until `hold` the guest
 * runs; from there to the first KVM_RUN of ours it stands still.
 */
import type { FdTable, SavedRecord } from "@vmm/cpr";
import { faultPoint } from "@vmm/cpr/incoming";
import {
  type BatchCall,
  close,
  killIfThere,
  MAP_SHARED,
  memoryView,
  mmap,
  monotonicNs,
  munmap,
  PROT_READ,
  PROT_WRITE,
  runFirst,
  SIGKILL,
  SYS,
  type SyscallList,
  usleep,
} from "@vmm/libc";
import { VmmError } from "../../../vmm-error.ts";
import type { AdoptedVcpus, ExitTargets } from "../../accelerator.ts";
import { ExitDispatch } from "../exit-dispatch.ts";
import { KICK_SIGNAL } from "../kvm-runner.ts";
import { readHere, type StateWrite, writesHere } from "../state-read.ts";
import { KVM_RUN, RUN } from "../uapi/kvm.ts";
import { vcpuReads } from "../vcpu-state.ts";
import { vmReads } from "../vm-state.ts";
import { AgentMemory } from "./agent-control.ts";
import { AGENT_FDS, type AgentInfo } from "./agent-info.ts";
import { AgentKick, beginList, type KickedAgent, NO_SIGNAL } from "./agent-kick.ts";
import { reap, reapIfEnded } from "./agent-process.ts";
import { RemoteReads } from "./remote-reads.ts";

/** Time for an agent that was killed to be gone (ns), and between two looks (µs). */
const END_NS = 1e9;
const LOOK_US = 100;
/** How often holding and loading are gone through ahead: few times, since the guest has no devices meanwhile. More gain nothing. */
const REHEARSALS = 2;

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

/** With all laid out that reads it, and that loads it from where it was read. */
interface Prepared extends States {
  readonly begin: SyscallList;
  readonly writes: readonly ((() => boolean) | undefined)[];
}

/** An agent that can be held. */
interface Held extends KickedAgent {
  /** Whether the agent has ended, or was ended since it did not answer. */
  lost: boolean;
  /** Takes back that it runs before others. */
  endHurry?: (() => void) | undefined;
}

interface Adopted extends Held {
  /** By its agent, or by the spare one. */
  reads: RemoteReads;
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
  readonly #spare: RemoteReads | undefined;
  #holdNs = 0;
  /** What `hold` does, where it is prepared. */
  #kicks: { readonly atOnce: AgentKick; readonly rested: AgentKick } | undefined;
  /** What `load` does, where it is prepared. */
  #prepared: Prepared | undefined;

  constructor(info: AgentInfo, fds: FdTable, target: AgentTarget, fixed: readonly SavedRecord[]) {
    this.#info = info;
    this.#fds = fds;
    this.#target = target;
    this.#fixed = fixed;
    const vcpus = info.vcpus.length;
    const agents = vcpus + (info.spare === undefined ? 0 : 1);
    this.#memory = new AgentMemory(this.#fd(AGENT_FDS.control, 0), agents);
    if (agents > vcpus) this.#spare = new RemoteReads(this.#memory.of(vcpus), info.base, vcpus);
    this.#vcpus = info.vcpus.map(({ pid }, index) => {
      const fd = this.#fd(AGENT_FDS.vcpu, index);
      const length = target.runSize;
      const address = mmap({ length, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
      const agent = this.#memory.of(index);
      const run = { view: new DataView(memoryView(address, length)), address, fd };
      return { pid, agent, reads: new RemoteReads(agent, info.base, index), lost: false, run };
    });
  }

  rehearse(rest?: BatchCall): void {
    let holds = true;
    for (let i = 0; i === 0 || (i < REHEARSALS && !this.#guestWaits); i++) {
      if (holds) holds = this.#rehearseHold();
      this.#rehearseLoad();
    }
    this.#prepared = this.#prepare();
    this.#kicks = {
      atOnce: new AgentKick(this.#vcpus, KICK_SIGNAL),
      rested: new AgentKick(this.#vcpus, KICK_SIGNAL, rest && [rest]),
    };
  }

  /** Whether a vCPU stands at an access to a device, which only the new program can serve. */
  get #guestWaits(): boolean {
    return this.#vcpus.some(({ agent }) => agent.parked && agent.exitPending);
  }

  #writesOf(index: number, writes: readonly StateWrite[]): () => boolean {
    return writesHere(this.#target.vcpuFd(index), writes, (this.#vcpus[index] as Adopted).reads.given);
  }

  /** Saving and loading what a new VM begins with changes nothing, and leaves the code of both ready to run. */
  #rehearseLoad(): void {
    const { vcpus, vm } = this.#newStates();
    vcpus.forEach((state, index) => {
      const fd = this.#target.vcpuFd(index);
      readHere({ fd, reads: state.reads });
      this.#target.loadVcpu(index, byName([...this.#fixed, ...state.records()]), 0);
      if (state.writes) writesHere(fd, state.writes, (read) => read.buffer)();
    });
    readHere({ fd: this.#target.vmFd, reads: vm.reads });
    this.#target.loadVm(byName(vm.records()), 0);
  }

  /**
   * With the spare agent, which does nothing: what is done to the others in earnest. It may have ended; so be it.
   *
   * @returns Whether it can be done again.
   */
  #rehearseHold(): boolean {
    const { spare, vmFd } = this.#info;
    if (this.#spare === undefined || spare === undefined || reapIfEnded(spare)) return false;
    const { reads } = vmReads();
    this.#spare.prepare({ fd: vmFd, reads });
    const held: Held = { pid: spare, agent: this.#memory.of(this.#vcpus.length), lost: false };
    try {
      this.#hold([held], new AgentKick([held], NO_SIGNAL), NO_SIGNAL);
      held.endHurry?.();
      if (held.lost) return false;
      if (!beginList([held]).make()) return false;
      this.#spare.finish();
      this.#spare.collect(reads);
      return true;
    } catch (error) {
      console.error(`vmm: the spare agent: ${error instanceof Error ? error.message : error}`);
      return false;
    }
  }

  #newStates(): States {
    const vcpus = this.#info.vcpus.map(({ features }, index) => vcpuReads(`cpu${index}`, features));
    return { vcpus, vm: vmReads() };
  }

  /** Lays out what is to be read: of each vCPU by its agent, of the VM by the first. */
  #prepare(): Prepared {
    const states = this.#newStates();
    for (const index of this.#vcpus.keys()) this.#layOut(index, states);
    // what the spare agent reads is laid out one after the other
    const writes = states.vcpus.map((state, index) => {
      return this.#vcpus[index]?.lost ? undefined : state.writes && this.#writesOf(index, state.writes);
    });
    return { ...states, begin: beginList(this.#vcpus), writes };
  }

  #layOut(index: number, { vcpus, vm }: States): void {
    const { reads } = this.#vcpus[index] as Adopted;
    const own = { fd: this.#vcpu(index).fd, reads: (vcpus[index] as States["vcpus"][number]).reads };
    if (index === 0) reads.prepare(own, { fd: this.#info.vmFd, reads: vm.reads });
    else reads.prepare(own);
  }

  hold(): void {
    faultPoint("hold-vcpus");
    // the rest that may come first is part of it: of an agent that is lost nothing tells since when its vCPU stands still
    this.#holdNs = monotonicNs();
    const { atOnce, rested } = this.#kicks ?? {};
    this.#hold(this.#vcpus, this.#guestWaits ? atOnce : rested, KICK_SIGNAL);
    this.#vcpus.forEach((vcpu, index) => {
      if (vcpu.lost) this.#replace(vcpu, index);
    });
  }

  /** @param kick Where it is prepared. */
  #hold(vcpus: readonly Held[], kick: AgentKick | undefined, signal: number): void {
    // of one that is parked nothing else would tell that it has ended
    for (const vcpu of vcpus) if (vcpu.agent.parked) vcpu.lost ||= reapIfEnded(vcpu.pid);
    if (kick && !vcpus.some(({ lost }) => lost)) {
      const done = kick.make();
      vcpus.forEach((vcpu, i) => {
        vcpu.endHurry = kick.endHurries[i];
      });
      // one that parked by itself may have ended in the rest: it is asked again
      for (const vcpu of vcpus) if (vcpu.agent.exitPending) vcpu.lost ||= reapIfEnded(vcpu.pid);
      if (done && !vcpus.some(({ lost }) => lost)) return;
    }
    for (const vcpu of vcpus) vcpu.lost ||= reapIfEnded(vcpu.pid);
    const held = vcpus.filter((vcpu) => !vcpu.lost && this.#answers(vcpu, () => vcpu.agent.hold()));
    for (const { pid } of held) killIfThere(pid, signal);
    for (const vcpu of held) vcpu.endHurry ??= this.#answers(vcpu, () => runFirst(vcpu.pid));
    for (const vcpu of held) this.#answers(vcpu, () => vcpu.agent.awaitParked());
  }

  /** One that does not answer is ended: the vCPU is in the kernel, and not lost with it. */
  #answers<T>(vcpu: Held, ask: () => T): T | undefined {
    try {
      return ask();
    } catch (error) {
      console.error(`vmm: ${error instanceof Error ? error.message : error}; it is ended`);
      killIfThere(vcpu.pid, SIGKILL);
      vcpu.lost = true;
      return undefined;
    }
  }

  /** Has the spare agent read a vCPU whose own has ended, or is about to. */
  #replace(vcpu: Adopted, index: number): void {
    for (const end = monotonicNs() + END_NS; !reapIfEnded(vcpu.pid) && monotonicNs() < end; ) usleep(LOOK_US);
    const { spare } = this.#info;
    if (this.#spare === undefined || spare === undefined || reapIfEnded(spare))
      throw new VmmError("accel", `the agent that ran vCPU ${index} has ended, and the vCPU's state with it`);
    vcpu.reads = this.#spare;
  }

  load(): void {
    faultPoint("load-vcpus");
    const readNs = monotonicNs();
    const states = this.#prepared ?? this.#prepare();
    // from here on the agents may be asked for other things
    this.#prepared = undefined;
    const all = this.#vcpus.every(({ lost }) => !lost);
    if (!all || !states.begin.make()) for (const { reads, lost } of this.#vcpus) if (!lost) reads.begin();
    // one is loaded while the agents of the next ones still read
    for (const index of this.#vcpus.keys()) this.#loadVcpu(index, states, readNs);
    this.#target.loadVm(byName(states.vm.records()), monotonicNs() - readNs);
  }

  /** As it was read where this host's KVM takes it so, else by its records, which tell what it does not take. */
  #loadVcpu(index: number, states: Prepared, readNs: number): void {
    faultPoint("load-vcpu");
    const { reads, writes, records } = states.vcpus[index] as States["vcpus"][number];
    const { reads: remote, lost } = this.#vcpus[index] as Adopted;
    if (lost) {
      this.#layOut(index, states);
      remote.begin();
    }
    remote.finish();
    // it is there only until the agent is asked for something else
    if (index === 0) remote.collect(states.vm.reads);
    const write = lost ? writes && this.#writesOf(index, writes) : states.writes[index];
    if (write?.()) return;
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
    for (const { agent, lost, endHurry } of this.#vcpus) {
      if (lost) continue;
      endHurry?.();
      if (agent.parked && !agent.exitPending) agent.command("run");
    }
  }

  standstills(runNs: number): { fromNs: number; toNs: number }[] {
    const stillNs = this.#vcpus.map(({ agent, lost }) => (lost ? this.#holdNs : agent.parkedNs));
    return [this.#info.handOff, { fromNs: Math.min(...stillNs), toNs: runNs }];
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
    const { spare } = this.#info;
    if (spare !== undefined) killIfThere(spare, SIGKILL);
    const pids = this.#vcpus.map(({ pid }) => pid);
    await Promise.all([...pids, ...(spare === undefined ? [] : [spare])].map(reap));
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
