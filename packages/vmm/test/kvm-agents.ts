/** vCPUs that agents run, for `agents.test.ts`. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { FdTable, SavedRecord } from "@vmm/cpr";
import { dup, execve, kill, setCloexec } from "@vmm/libc";
import { AgentMemory } from "../src/accel/kvm/agent/agent-control.ts";
import { readAgentRecord } from "../src/accel/kvm/agent/agent-info.ts";
import { AgentKick } from "../src/accel/kvm/agent/agent-kick.ts";
import { blockKickSignal } from "../src/accel/kvm/index.ts";
import { KICK_SIGNAL } from "../src/accel/kvm/kvm-runner.ts";
import { type Assembler, al, at, eax, ebx, ecx, edi, edx, esi } from "../src/boot/asm-x86.ts";
import {
  awaitExit,
  byName,
  Counting,
  count,
  countOn,
  difference,
  killAgent,
  leftovers,
  messageOf,
  PORT,
  pidsOf,
} from "./kvm-counting.ts";
import { Ram } from "./kvm-guest.ts";

const RESULT = 0x3000;
const TEXT = "agent";
/** The variable by which a program finds what the one before it left. */
const HANDED_OVER = "VMM_TEST_AGENTS";

/** Given to agents, and taken back by who gave it. */
export function takenBack(cpus = 1) {
  blockKickSignal();
  const guest = new Counting(cpus, countOn(cpus));
  const started = guest.countsHere();
  const before = leftovers([]);
  const running = guest.runOn();
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

/** The processes that were cloned: they have our name. */
function agentsOf(parent: number): number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8");
  return children.split(" ").filter(Boolean).map(Number);
}

const openOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`)
    .map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    .sort();

/** Made ready to be given away, and not given away after all. */
export function dismissed() {
  blockKickSignal();
  const guest = new Counting(2, countOn(2));
  const started = guest.countsHere();
  const before = leftovers([]);
  const waiting = guest.vm.prepareRunOn(guest.fds, 10_000);
  const agents = difference(leftovers([]), before).controlBlocks;
  const open = agentsOf(process.pid).map((pid) => openOf(pid));
  const stood = guest.standsStill();
  const undisturbed = guest.countsHere();
  waiting.dismiss();
  const left = difference(leftovers([]), before);
  return {
    started,
    agents,
    open,
    stood,
    undisturbed,
    countsHere: guest.countsHere(),
    left,
    inTable: guest.fds.size,
  };
}

/** Given away and taken back at once, many times: the agents have hardly begun. */
export function backAndForth() {
  blockKickSignal();
  const guest = new Counting(2, countOn(2));
  guest.countsHere();
  const before = leftovers([]);
  const startNs = Bun.nanoseconds();
  for (let i = 0; i < 20; i++) guest.runOn().takeBack(guest.targets);
  const inTime = Bun.nanoseconds() - startNs < 4e9;
  return { inTime, countsHere: guest.countsHere(), left: difference(leftovers([]), before) };
}

async function adoptOn(cpus: number, letGoFirst: boolean) {
  blockKickSignal();
  const guest = new Counting(cpus, countOn(cpus));
  guest.countsHere();
  const running = guest.runOn();
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
  const countsHere = await next.takesOver(adopted);
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

/** Held at once: both run, then both are parked, then they run again, then one has ended. */
export function heldAtOnce() {
  blockKickSignal();
  const guest = new Counting(2, countOn(2));
  guest.countsHere();
  const running = guest.runOn();
  const ranOn = guest.goesOn();
  const memory = new AgentMemory(dup(guest.fds.findFd("kvm-agents", 0) as number), 3);
  const agents = pidsOf(running)
    .slice(0, 2)
    .map((pid, index) => ({ pid, agent: memory.of(index) }));
  const kick = new AgentKick(agents, KICK_SIGNAL);
  const held = kick.make();
  const stood = guest.standsStill();
  const heldAgain = kick.make();
  for (const end of kick.endHurries) end?.();
  for (const { agent } of agents) agent.command("run");
  const wentOn = guest.goesOn();
  const heldOnceMore = kick.make();
  for (const end of kick.endHurries) end?.();
  killAgent(pidsOf(running)[0] as number);
  for (const { agent } of agents) agent.command("run");
  const heldDead = kick.make();
  memory.close();
  running.takeBack(guest.targets);
  return { ranOn, held, stood, heldAgain, wentOn, heldOnceMore, heldDead, countsHere: guest.countsHere() };
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
  const running = guest.runOn();
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
    await next.takesOver(adopted);
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

/** A signal to the whole process group, for which the program has a handler: no agent runs it. */
export function signalled() {
  blockKickSignal();
  let here = 0;
  process.on("SIGWINCH", () => here++);
  const guest = new Counting(1, countOn(1));
  const running = guest.runOn();
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
  const error = messageOf(() => guest.runOn());
  return { error, left: difference(leftovers([]), before), countsHere: guest.countsHere() };
}

interface HandedOver {
  readonly fds: ReturnType<FdTable["entries"]>;
  readonly ram: number;
  readonly count: number;
  readonly records: readonly { name: string; kind: string; data: string }[];
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
    ({ name, kind, data }) =>
      ({ name, kind, data: new Uint8Array(Buffer.from(data, "base64")) }) as unknown as SavedRecord,
  );
  const ranOn = (guest.counts()[0] as number) > state.count && guest.goesOn();
  const adopted = guest.adopt(records);
  adopted.rehearse();
  adopted.hold();
  adopted.load();
  const countsHere = await guest.takesOver(adopted);
  const pids = readAgentRecord(byName(records))?.vcpus.map(({ pid }) => pid) ?? [];
  const { processes, controlBlocks } = leftovers(pids);
  return { ranOn, countsHere, processes, controlBlocks, agents: pids.length, ends: guest.targets.ends };
}

function leaveForExec(): never {
  const guest = new Counting(2, countOn(2));
  guest.countsHere();
  const { records } = guest.runOn();
  const state: HandedOver = {
    fds: guest.fds.entries(),
    ram: guest.ram.fd,
    count: guest.counts()[0] as number,
    records: records.map(({ name, kind, data }) => ({
      name,
      kind,
      data: Buffer.from(data).toString("base64"),
    })),
  };
  for (const { fd } of state.fds) setCloexec(fd, false);
  setCloexec(state.ram, false);
  execve(process.execPath, [process.execPath, ...Bun.argv.slice(1)], {
    ...process.env,
    [HANDED_OVER]: JSON.stringify(state),
  });
}
