/** A guest whose vCPUs count, for programs that hand it from one to the next; see `kvm-agents.ts`. */
import { readdirSync, readFileSync } from "node:fs";
import { FdTable, type SavedRecord } from "@vmm/cpr";
import { dup, kill, SIGKILL } from "@vmm/libc";
import type { AdoptedVcpus, RunningOn } from "../src/accel/accelerator.ts";
import { AgentMemory } from "../src/accel/kvm/agent/agent-control.ts";
import { readAgentRecord } from "../src/accel/kvm/agent/agent-info.ts";
import { KvmVm } from "../src/accel/kvm/index.ts";
import { type Assembler, at, ebx } from "../src/boot/asm-x86.ts";
import { assemble, CODE, Ram, recorder, STACK, Targets } from "./kvm-guest.ts";

/** One word per vCPU, 0x40 bytes apart. */
const COUNT = 0x2000;
export const PORT = 0x510;
const ANSWER = 0x5a;
/** Real-mode code of the other vCPUs, a page each. */
const AP_CODE = 0x8000;
const LAPIC_ICR = 0xfee00300;
const LIMIT_MS = 10_000;

const countAt = (vcpu: number) => COUNT + 0x40 * vcpu;
const all = (cpus: number) => Array.from({ length: cpus }, (_, i) => i);
export const byName = (records: readonly SavedRecord[]) =>
  new Map(records.map((record) => [record.name, record]));

/** Counts in a register and in memory, until the two differ: then it tells, or halts. */
export function count(a: Assembler): void {
  a.label("round");
  a.inc(ebx);
  a.inc(at(COUNT));
  a.cmp(ebx, at(COUNT));
  a.jumpIf("equal", "round");
}

/** The same in real mode: inc ebx; inc dword [count]; cmp ebx,[count]; je; cli; hlt; jmp */
const countInRealMode = (address: number) =>
  Uint8Array.of(
    ...[0x66, 0x43, 0x66, 0xff, 0x06, address & 0xff, address >> 8],
    ...[0x66, 0x3b, 0x1e, address & 0xff, address >> 8, 0x74, 0xf2, 0xfa, 0xf4, 0xeb, 0xfc],
  );

/** Starts the other vCPUs, and counts. */
export function countOn(cpus: number) {
  return (a: Assembler) => {
    a.mov(at(0xfee000f0), 0x1ff);
    for (const vcpu of all(cpus).slice(1)) {
      a.mov(at(LAPIC_ICR + 0x10), vcpu << 24);
      a.mov(at(LAPIC_ICR), 0xc500); // INIT
      a.mov(at(LAPIC_ICR), 0x4600 | ((AP_CODE >> 12) + vcpu)); // start-up
    }
    a.mov(ebx, 0);
    count(a);
  };
}

/** What stays behind of agents in this process. */
export function leftovers(pids: readonly number[]) {
  const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
  const isThere = (pid: number) => {
    try {
      kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };
  return {
    processes: pids.filter(isThere).length,
    controlBlocks: maps.filter((line) => line.includes("vmm-kvm-agents")).length,
    runs: maps.filter((line) => line.includes("kvm-vcpu")).length,
    fds: readdirSync("/proc/self/fd").length,
  };
}

export class Counting {
  readonly ram: Ram;
  readonly vm: KvmVm;
  readonly cpus: number;
  readonly fds = new FdTable();
  readonly targets = new Targets();
  readonly device = recorder(() => ANSWER);

  constructor(cpus: number, program?: (a: Assembler) => void, ram = new Ram()) {
    this.cpus = cpus;
    this.ram = ram;
    this.vm = new KvmVm(cpus);
    ram.attach(this.vm);
    this.targets.ports(PORT, 1, this.device);
    if (!program) return;
    ram.memory.write(CODE, assemble(program));
    for (const vcpu of all(cpus).slice(1))
      ram.memory.write(AP_CODE + vcpu * 0x1000, countInRealMode(countAt(vcpu)));
    this.vm.reset({ eip: CODE, esp: STACK });
  }

  /** Gives the vCPUs to agents. */
  runOn(): RunningOn {
    return this.vm.prepareRunOn(this.fds, LIMIT_MS).runOn(0);
  }

  /** The same guest in another VM, as after an exec: with the fds, but nothing else of this one. */
  next(running: RunningOn): { guest: Counting; adopted: AdoptedVcpus } {
    const guest = new Counting(this.cpus, undefined, this.ram);
    for (const { name, id, fd } of this.fds.entries()) guest.fds.saveFd(name, id, dup(fd));
    return { guest, adopted: guest.adopt(running.records) };
  }

  adopt(records: readonly SavedRecord[]): AdoptedVcpus {
    const adopted = this.vm.adopt(byName(records), this.fds);
    if (!adopted) throw new Error("no vCPU runs on");
    return adopted;
  }

  counts(): number[] {
    return all(this.cpus).map((vcpu) => this.ram.word(countAt(vcpu)));
  }

  /** Whether all vCPUs go on counting, which they do only as long as register and memory agree. */
  goesOn(): boolean {
    const before = this.counts();
    return happens(() => this.counts().every((value, vcpu) => value > (before[vcpu] as number)));
  }

  standsStill(): boolean {
    const before = this.counts();
    Bun.sleepSync(20);
    return this.counts().every((value, vcpu) => value === before[vcpu]);
  }

  /** Runs under this process as long as `going`, or until all count. Gives whether that happened. */
  runHere(reached: () => boolean): boolean {
    const bridge = this.vm.bridge(this.targets);
    bridge.start();
    const deadline = performance.now() + LIMIT_MS;
    let was = false;
    bridge.serve(
      () => {
        was ||= reached();
        return !was && performance.now() < deadline && this.targets.ends.length === 0;
      },
      () => false,
      () => {},
    );
    return was;
  }

  /** Goes on counting under this process. */
  countsHere(): boolean {
    const before = this.counts();
    return this.runHere(() => this.counts().every((value, vcpu) => value > (before[vcpu] as number)));
  }

  /** The same, with vCPUs that were held and loaded; their agents are gone then. */
  async takesOver(adopted: AdoptedVcpus): Promise<boolean> {
    adopted.settle(this.targets);
    const countsHere = this.countsHere();
    await adopted.release();
    return countsHere;
  }
}

export function happens(condition: () => boolean): boolean {
  const until = performance.now() + LIMIT_MS;
  while (!condition()) {
    if (performance.now() > until) return false;
    Bun.sleepSync(1);
  }
  return true;
}

/** Of the agents by vCPU, and of the spare one. */
export function pidsOf(running: RunningOn): number[] {
  const { vcpus = [], spare = 0 } = readAgentRecord(byName(running.records)) ?? {};
  return [...vcpus.map(({ pid }) => pid), spare];
}

/** Waits until the agent of vCPU 0 is parked at an access. */
export function awaitExit(fds: FdTable, cpus = 1): boolean {
  const memory = new AgentMemory(dup(fds.findFd("kvm-agents", 0) as number), cpus);
  const agent = memory.of(0);
  const parked = happens(() => agent.parked && agent.exitPending);
  memory.close();
  return parked;
}

export function messageOf(call: () => void): string {
  try {
    call();
    return "none";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export const difference = (a: Record<string, number>, b: Record<string, number>) =>
  Object.fromEntries(Object.entries(a).map(([name, value]) => [name, value - (b[name] ?? 0)]));

/** Whether it can be reaped: in the process that first runs a VM, KVM starts a thread that ends after the main thread. */
function hasEnded(pid: number): boolean {
  const isZombie = readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  return isZombie && readdirSync(`/proc/${pid}/task`).length === 1;
}

/** Returns when it has ended. */
export function killAgent(pid: number): void {
  kill(pid, SIGKILL);
  if (!happens(() => hasEnded(pid))) throw new Error(`agent ${pid} was killed, and has not ended`);
}
