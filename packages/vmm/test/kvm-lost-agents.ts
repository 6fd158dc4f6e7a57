/** vCPUs whose agents have ended or do not answer, for `agents.test.ts`. */
import { addressOf, type BatchCall, kill, SIGKILL, SIGSTOP, SYS, storeCall } from "@vmm/libc";
import { blockKickSignal } from "../src/accel/kvm/index.ts";
import { al, edx } from "../src/boot/asm-x86.ts";
import {
  awaitExit,
  Counting,
  countOn,
  difference,
  killAgent,
  leftovers,
  messageOf,
  PORT,
  pidsOf,
} from "./kvm-counting.ts";

/**
 * Agents that were killed, or stopped: another program takes the vCPUs over all the same, by the spare agent.
 *
 * @param rest What holding them begins with.
 */
async function without(
  cpus: number,
  harm: (pids: number[]) => void,
  rest: (pids: number[]) => BatchCall | undefined = () => undefined,
) {
  blockKickSignal();
  const guest = new Counting(cpus, countOn(cpus));
  guest.countsHere();
  const running = guest.runOn();
  const before = leftovers([]);
  const { adopted, guest: next } = guest.next(running);
  adopted.rehearse(rest(pidsOf(running)));
  harm(pidsOf(running));
  adopted.hold();
  const stood = guest.standsStill();
  adopted.load();
  // one more program that fails before it has won
  adopted.letGo();
  adopted.hold();
  adopted.load();
  const countsHere = await next.takesOver(adopted);
  next.vm.close();
  return { stood, countsHere, left: difference(leftovers(pidsOf(running)), before), ends: next.targets.ends };
}

export const oneKilled = () => without(1, ([pid = 0]) => killAgent(pid));
export const allKilled = () => without(3, (pids) => pids.slice(0, 3).forEach(killAgent));
export const oneStopped = () => without(2, ([, pid = 0]) => kill(pid, SIGSTOP));

/** After the looks at who is there. */
export const killedInTheRest = () =>
  without(
    2,
    () => {},
    ([pid = 0]) => ({ number: SYS.kill, args: [pid, SIGKILL] }),
  );

/** Holds the guest's agents with a rest, which notes that it was made. */
async function heldWithRest(guest: Counting, ready: () => void = () => {}) {
  const { adopted, guest: next } = guest.next(guest.runOn());
  const rested = new Int32Array(1);
  adopted.rehearse(storeCall(addressOf(rested), 1));
  ready();
  const before = Atomics.load(rested, 0);
  adopted.hold();
  const after = Atomics.load(rested, 0);
  adopted.load();
  const countsHere = await next.takesOver(adopted);
  next.vm.close();
  return { before, after, countsHere };
}

/** A vCPU that waits for a device does not wait for the rest. */
export async function parkedAtOut() {
  blockKickSignal();
  const guest = new Counting(1, (a) => {
    a.mov(edx, PORT);
    a.out(al);
    countOn(1)(a);
  });
  let parked = false;
  const { after, countsHere } = await heldWithRest(guest, () => {
    parked = awaitExit(guest.fds);
  });
  return { parked, rested: after, countsHere };
}

/** One that runs does. */
export function restsFirst() {
  blockKickSignal();
  const guest = new Counting(1, countOn(1));
  guest.countsHere();
  return heldWithRest(guest);
}

/** While the vCPU stood at a write, which is served all the same. */
export async function killedAtOut() {
  blockKickSignal();
  const guest = new Counting(2, (a) => {
    a.mov(edx, PORT);
    a.mov(al, 0x11);
    a.out(al);
    countOn(2)(a);
  });
  const running = guest.runOn();
  const parked = awaitExit(guest.fds, 3);
  const { adopted, guest: next } = guest.next(running);
  adopted.rehearse();
  killAgent(pidsOf(running)[0] as number);
  const start = Bun.nanoseconds();
  adopted.hold();
  adopted.load();
  const atOnce = Bun.nanoseconds() - start < 1e9;
  const countsHere = await next.takesOver(adopted);
  const { log } = next.device;
  next.vm.close();
  return { parked, atOnce, countsHere, log };
}

/** Before it has noticed that it is to run. */
export async function stoppedAtOnce() {
  blockKickSignal();
  const guest = new Counting(1, countOn(1));
  guest.countsHere();
  const waiting = guest.vm.prepareRunOn(guest.fds, 10_000);
  kill(waiting.pids[0] as number, SIGSTOP);
  const { guest: next, adopted } = guest.next(waiting.runOn(0));
  adopted.hold();
  adopted.load();
  const countsHere = await next.takesOver(adopted);
  next.vm.close();
  return { countsHere };
}

/** With the spare agent: whoever started them goes on without any; another program cannot. */
export async function killed() {
  blockKickSignal();
  const guest = new Counting(2, countOn(2));
  guest.countsHere();
  const running = guest.runOn();
  const [pid = 0, , spare = 0] = pidsOf(running);
  for (const agent of [pid, spare]) killAgent(agent);
  const { adopted, guest: next } = guest.next(running);
  const error = messageOf(() => adopted.hold());
  adopted.letGo();
  running.takeBack(guest.targets);
  const countsHere = guest.countsHere();
  await adopted.release();
  next.vm.close();
  return { error, countsHere, processes: leftovers(pidsOf(running)).processes };
}
