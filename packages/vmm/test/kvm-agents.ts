/** vCPUs that agents run, for `agents.test.ts`. */
import { readdirSync, readFileSync } from "node:fs";
import { FdTable, type SavedRecord } from "@vmm/cpr";
import { dup, execve, kill, SIGKILL, setCloexec } from "@vmm/libc";
import type { AdoptedVcpus, RunningOn } from "../src/accel/accelerator.ts";
import { AgentMemory } from "../src/accel/kvm/agent/agent-control.ts";
import { readAgentRecord } from "../src/accel/kvm/agent/agent-info.ts";
import { blockKickSignal, KvmVm } from "../src/accel/kvm/index.ts";
import { type Assembler, al, at, eax, ebx, ecx, edi, edx, esi } from "../src/boot/asm-x86.ts";
import { assemble, CODE, Ram, recorder, STACK, Targets } from "./kvm-guest.ts";

/** One word per vCPU, 0x40 bytes apart. */
const COUNT = 0x2000;
const RESULT = 0x3000;
const PORT = 0x510;
const TEXT = "agent";
const ANSWER = 0x5a;
/** Real-mode code of the other vCPUs, a page each. */
const AP_CODE = 0x8000;
const LAPIC_ICR = 0xfee00300;
const LIMIT_MS = 10_000;
const HANDED_OVER = "VMM_TEST_AGENTS";

const countAt = (vcpu: number) => COUNT + 0x40 * vcpu;
const all = (cpus: number) => Array.from({ length: cpus }, (_, i) => i);
const byName = (records: readonly SavedRecord[]) => new Map(records.map((record) => [record.name, record]));

/** Counts in a register and in memory, until the two differ: then it tells, or halts. */
function count(a: Assembler): void {
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
function countOn(cpus: number) {
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
function leftovers(pids: readonly number[]) {
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

class Counting {
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
}

function happens(condition: () => boolean): boolean {
  const until = performance.now() + LIMIT_MS;
  while (!condition()) {
    if (performance.now() > until) return false;
    Bun.sleepSync(1);
  }
  return true;
}

const pidsOf = (running: RunningOn): number[] =>
  readAgentRecord(byName(running.records))?.vcpus.map(({ pid }) => pid) ?? [];

/** Waits until the agent of vCPU 0 is parked at an access. */
function awaitExit(fds: FdTable, cpus = 1): boolean {
  const memory = new AgentMemory(dup(fds.findFd("kvm-agents", 0) as number), cpus);
  const agent = memory.of(0);
  const parked = happens(() => agent.parked && agent.exitPending);
  memory.close();
  return parked;
}

function messageOf(call: () => void): string {
  try {
    call();
    return "none";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Given to agents, and taken back by who gave it. */
export function takenBack(cpus = 1) {
  blockKickSignal();
  const guest = new Counting(cpus, countOn(cpus));
  const started = guest.countsHere();
  const before = leftovers([]);
  const running = guest.vm.runOn(guest.fds, 0);
  const ranOn = guest.goesOn();
  running.takeBack(guest.targets);
  const left = leftovers(pidsOf(running));
  return {
    started,
    ranOn,
    stood: guest.standsStill(),
    countsHere: guest.countsHere(),
    left: difference(left, before),
    inTable: guest.fds.size,
    ends: guest.targets.ends,
  };
}

export const manyTakenBack = () => takenBack(3);

const difference = (a: Record<string, number>, b: Record<string, number>) =>
  Object.fromEntries(Object.entries(a).map(([name, value]) => [name, value - (b[name] ?? 0)]));

/** Given away and taken back at once, many times: the agents have hardly begun. */
export function backAndForth() {
  blockKickSignal();
  const guest = new Counting(2, countOn(2));
  guest.countsHere();
  const before = leftovers([]);
  const startNs = Bun.nanoseconds();
  for (let i = 0; i < 20; i++) guest.vm.runOn(guest.fds, 0).takeBack(guest.targets);
  const inTime = Bun.nanoseconds() - startNs < 4e9;
  return { inTime, countsHere: guest.countsHere(), left: difference(leftovers([]), before) };
}

async function adoptOn(cpus: number, letGoFirst: boolean) {
  blockKickSignal();
  const guest = new Counting(cpus, countOn(cpus));
  guest.countsHere();
  const running = guest.vm.runOn(guest.fds, 0);
  const ranOn = guest.goesOn();
  const before = leftovers([]);
  const { guest: next, adopted } = guest.next(running);
  adopted.rehearse();
  const undisturbed = guest.goesOn();
  let letGo = true;
  for (let i = 0; letGoFirst && i < 10; i++) {
    adopted.hold();
    adopted.load();
    adopted.letGo();
    if (i === 0) letGo = guest.goesOn();
  }
  adopted.hold();
  const stood = guest.standsStill();
  adopted.load();
  adopted.settle(next.targets);
  const countsHere = next.countsHere();
  await adopted.release();
  next.vm.close();
  return {
    ranOn,
    undisturbed,
    letGo,
    stood,
    countsHere,
    left: difference(leftovers(pidsOf(running)), before),
    inTable: next.fds.size,
    ends: next.targets.ends,
  };
}

/** Taken over by another VM. */
export const adoptedByNext = () => adoptOn(1, false);
export const manyAdopted = () => adoptOn(4, false);
export const letGoAndAdopted = () => adoptOn(2, true);

const accesses = {
  out(a: Assembler) {
    a.mov(al, 0x11);
    a.out(al);
  },
  in(a: Assembler) {
    a.mov(eax, 0);
    a.in(al);
    a.mov(at(RESULT), eax);
  },
  stringOut(a: Assembler) {
    a.mov(esi, RESULT);
    a.mov(ecx, TEXT.length);
    a.byte(0xf3, 0x6e); // rep outsb
  },
  stringIn(a: Assembler) {
    a.mov(edi, RESULT);
    a.mov(ecx, 4);
    a.byte(0xf3, 0x6c); // rep insb
  },
};

/** An access at which the agent is parked, finished by the next VM or by the one that started it. */
async function accessAt(kind: keyof typeof accesses, back: boolean) {
  blockKickSignal();
  const guest = new Counting(1, (a) => {
    a.mov(edx, PORT);
    accesses[kind](a);
    a.mov(ebx, 0);
    count(a);
  });
  guest.ram.memory.write(RESULT, new TextEncoder().encode(kind === "stringOut" ? TEXT : "\0\0\0\0\0"));
  const running = guest.vm.runOn(guest.fds, 0);
  const parked = awaitExit(guest.fds);
  const [beforehand, at] = [guest.device.log.length, guest.counts()[0]];
  let by = guest;
  if (back) running.takeBack(guest.targets);
  else {
    const { guest: next, adopted } = guest.next(running);
    by = next;
    adopted.rehearse();
    // one more program that fails before it has won
    adopted.hold();
    adopted.load();
    adopted.letGo();
    adopted.hold();
    adopted.load();
    adopted.settle(next.targets);
    next.countsHere();
    await adopted.release();
  }
  const countsHere = by.countsHere();
  return { parked, beforehand, at, countsHere, log: by.device.log, result: by.ram.word(RESULT) };
}

export const atOut = () => accessAt("out", false);
export const atIn = () => accessAt("in", false);
export const atStringOut = () => accessAt("stringOut", false);
export const atStringIn = () => accessAt("stringIn", false);
export const atInTakenBack = () => accessAt("in", true);
export const atStringOutTakenBack = () => accessAt("stringOut", true);

/** An agent that was killed: whoever started it goes on without it; another program cannot. */
export async function killed() {
  blockKickSignal();
  const guest = new Counting(2, countOn(2));
  guest.countsHere();
  const running = guest.vm.runOn(guest.fds, 0);
  const [pid = 0] = pidsOf(running);
  kill(pid, SIGKILL);
  happens(() => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "));
  const { adopted, guest: next } = guest.next(running);
  const error = messageOf(() => adopted.hold());
  adopted.letGo();
  running.takeBack(guest.targets);
  const countsHere = guest.countsHere();
  await adopted.release();
  next.vm.close();
  return { error, countsHere, processes: leftovers(pidsOf(running)).processes };
}

/** A signal to the whole process group, for which the program has a handler: no agent runs it. */
export function signalled() {
  blockKickSignal();
  let here = 0;
  process.on("SIGWINCH", () => here++);
  const guest = new Counting(1, countOn(1));
  const running = guest.vm.runOn(guest.fds, 0);
  const [pid = 0] = pidsOf(running);
  const SIGWINCH = 28;
  kill(pid, SIGWINCH);
  const goesOn = guest.goesOn();
  const pending = /SigPnd:\t(\w+)|ShdPnd:\t(\w+)/g;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const waits = [...status.matchAll(pending)].some(
    ([, own, shared]) => (BigInt(`0x${own ?? shared}`) >> BigInt(SIGWINCH - 1)) & 1n,
  );
  running.takeBack(guest.targets);
  return { goesOn, waits, here };
}

/** A table without room for the vCPUs. */
export function noRoom() {
  blockKickSignal();
  const guest = new Counting(2, countOn(2));
  guest.countsHere();
  const before = leftovers([]);
  guest.fds.saveFd("kvm-agent-vcpu", 1, 0);
  const error = messageOf(() => guest.vm.runOn(guest.fds, 0));
  return { error, left: difference(leftovers([]), before), countsHere: guest.countsHere() };
}

interface HandedOver {
  readonly fds: ReturnType<FdTable["entries"]>;
  readonly ram: number;
  readonly count: number;
  readonly records: readonly { name: string; data: string }[];
}

/** A real exec: the program begins anew while the guest runs on. */
export async function throughExec() {
  blockKickSignal();
  const text = process.env[HANDED_OVER];
  if (!text) return leaveForExec();
  const state = JSON.parse(text) as HandedOver;
  const guest = new Counting(2, undefined, new Ram(state.ram));
  for (const { name, id, fd } of state.fds) guest.fds.saveFd(name, id, fd);
  const records = state.records.map(
    ({ name, data }) =>
      ({ name, data: new Uint8Array(Buffer.from(data, "base64")) }) as unknown as SavedRecord,
  );
  const ranOn = (guest.counts()[0] as number) > state.count && guest.goesOn();
  const adopted = guest.adopt(records);
  adopted.rehearse();
  adopted.hold();
  adopted.load();
  adopted.settle(guest.targets);
  const countsHere = guest.countsHere();
  await adopted.release();
  const pids = readAgentRecord(byName(records))?.vcpus.map(({ pid }) => pid) ?? [];
  const { processes, controlBlocks } = leftovers(pids);
  return { ranOn, countsHere, processes, controlBlocks, agents: pids.length, ends: guest.targets.ends };
}

function leaveForExec(): never {
  const guest = new Counting(2, countOn(2));
  guest.countsHere();
  const { records } = guest.vm.runOn(guest.fds, 0);
  const state: HandedOver = {
    fds: guest.fds.entries(),
    ram: guest.ram.fd,
    count: guest.counts()[0] as number,
    records: records.map(({ name, data }) => ({ name, data: Buffer.from(data).toString("base64") })),
  };
  for (const { fd } of state.fds) setCloexec(fd, false);
  setCloexec(state.ram, false);
  execve(process.execPath, [process.execPath, ...Bun.argv.slice(1)], {
    ...process.env,
    [HANDED_OVER]: JSON.stringify(state),
  });
}
