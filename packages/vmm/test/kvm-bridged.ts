/** vCPUs that run on bare threads until Workers take them over, for `kvm-bridge.test.ts`. */
import { existsSync } from "node:fs";
import { KvmVm } from "../src/accel/kvm/index.ts";
import { type Assembler, al, at, eax, ebx, edx } from "../src/boot/asm-x86.ts";
import { VcpuControl } from "../src/machine/vcpu-control.ts";
import { happens } from "./kvm-counting.ts";
import { assemble, CODE, Ram, STACK, type Targets } from "./kvm-guest.ts";
import { SEQUENCE, SHARED, sequenceTargets, type ThreadStart } from "./kvm-thread.ts";

const COUNT = 0x2000;
const COUNT_AP = 0x2040;
/** Real-mode code of the second vCPU: a page below 1 MiB. */
const AP_CODE = 0x8000;
const AP_PORT = 0x520;
const LAPIC_ICR = 0xfee00300;
const LIMIT_MS = 10_000;
/** Exits that the bridge serves before the first hand-over. */
const BRIDGED = 200;

/** Wakes the other vCPU, then takes numbers from the device for ever. */
function bootProcessor(a: Assembler, wakeOther: boolean): void {
  if (wakeOther) {
    a.mov(at(0xfee000f0), 0x1ff);
    a.mov(at(LAPIC_ICR + 0x10), 1 << 24);
    a.mov(at(LAPIC_ICR), 0xc500); // INIT
    a.mov(at(LAPIC_ICR), 0x4600 | (AP_CODE >> 12)); // start-up
  }
  a.mov(ebx, 0);
  a.label("round");
  a.mov(edx, SEQUENCE.next);
  a.in(eax);
  a.cmp(eax, ebx);
  a.jumpIf("notEqual", "wrong");
  a.inc(ebx);
  a.mov(edx, SEQUENCE.confirm);
  a.mov(eax, ebx);
  a.out(eax);
  a.inc(at(COUNT));
  a.jump("round");
  a.label("wrong");
}

/** mov dx, port; in eax, dx; inc dword [count]; jmp */
const otherProcessor = Uint8Array.of(
  ...[0xba, AP_PORT & 0xff, AP_PORT >> 8, 0x66, 0xed],
  ...[0x66, 0xff, 0x06, COUNT_AP & 0xff, COUNT_AP >> 8, 0xeb, 0xf4],
);

class Bridged {
  readonly ram = new Ram();
  readonly shared = new SharedArrayBuffer(1024);
  readonly words = new Int32Array(this.shared);
  readonly vm: KvmVm;
  bridged = 0;
  readonly targets: Targets;

  /** @param served Called at each exit of the first vCPU. */
  constructor(cpus: number, program: (a: Assembler) => void, served = () => {}) {
    this.targets = sequenceTargets(this.words, () => {
      this.bridged++;
      served();
    });
    this.vm = new KvmVm(cpus);
    this.ram.attach(this.vm);
    this.ram.memory.write(CODE, assemble(program));
    this.ram.memory.write(AP_CODE, otherProcessor);
    this.targets.ports(AP_PORT, 4, { read: () => this.bridged++, write: () => {} });
    this.vm.reset({ eip: CODE, esp: STACK });
  }

  /** Starts the thread of vCPU 0, which waits. */
  startThread(): VcpuControl {
    const [vcpu] = this.vm.vcpus;
    if (!vcpu) throw new Error("no vCPU");
    const start: ThreadStart = { handle: vcpu.handle, shared: this.shared };
    new Worker(new URL("./kvm-thread.ts", import.meta.url).href).postMessage(start);
    return new VcpuControl(this.words, SHARED.control);
  }
}

/** One vCPU: the bridge serves it, then its Worker does. */
export function handOver() {
  const guest = new Bridged(1, (a) => bootProcessor(a, false));
  const control = guest.startThread();
  const bridge = guest.vm.bridge(guest.targets);
  bridge.start();
  const order: string[] = [];
  bridge.serve(
    () => true,
    () => guest.bridged >= BRIDGED && control.state === 1,
    () => {
      order.push("taken over");
      control.want("run");
    },
  );
  order.push("served");
  const { bridged } = guest;
  awaitTrue(
    () => Atomics.load(guest.words, SHARED.exits) > 100 || Atomics.load(guest.words, SHARED.ended) !== 0,
  );
  control.want("pause");
  guest.vm.vcpus[0]?.interrupt(control.tid);
  control.awaitLeaving(["running"], LIMIT_MS);
  return {
    order,
    bridged: bridged >= BRIDGED,
    bridgedLater: guest.bridged - bridged,
    wrong: Atomics.load(guest.words, SHARED.wrong),
    ended: Atomics.load(guest.words, SHARED.ended),
    unaccounted: Atomics.load(guest.words, SHARED.next) - guest.ram.word(COUNT),
  };
}

/** Two vCPUs, the second of which the first one wakes while both are bridged. */
export function twoVcpus() {
  const guest = new Bridged(2, (a) => bootProcessor(a, true));
  const bridge = guest.vm.bridge(guest.targets);
  bridge.start();
  const taken: number[] = [];
  const deadline = performance.now() + LIMIT_MS;
  const enough = () =>
    (guest.ram.word(COUNT) > 100 && guest.ram.word(COUNT_AP) > 100) || performance.now() > deadline;
  bridge.serve(
    () => true,
    (index) => enough() && (index === 0 || taken.includes(0)),
    (index) => taken.push(index),
  );
  const counts = [guest.ram.word(COUNT), guest.ram.word(COUNT_AP)];
  // nobody runs the vCPUs any more
  Bun.sleepSync(20);
  return {
    taken,
    ran: counts.map((count) => count > 100),
    still: counts[0] === guest.ram.word(COUNT) && counts[1] === guest.ram.word(COUNT_AP),
    wrong: Atomics.load(guest.words, SHARED.wrong),
  };
}

/** Which of these threads are there. One that was joined may be, for a moment. */
const there = (tids: readonly number[]): boolean[] => tids.map((tid) => existsSync(`/proc/self/task/${tid}`));

/** Each vCPU has one thread, however many exits are served, and none when it was handed over. */
export function threads() {
  const guest = new Bridged(2, (a) => bootProcessor(a, true));
  const bridge = guest.vm.bridge(guest.targets);
  const { tids } = bridge;
  bridge.start();
  let midway: boolean[] = [];
  bridge.serve(
    () => true,
    () => {
      if (guest.bridged < BRIDGED) return false;
      if (midway.length === 0) midway = there(tids);
      return true;
    },
    () => {},
  );
  happens(() => !there(tids).includes(true));
  return { midway, after: there(tids), wrong: Atomics.load(guest.words, SHARED.wrong) };
}

/** A device fails while both vCPUs run. */
export function deviceFails() {
  const guest: Bridged = new Bridged(
    2,
    (a) => bootProcessor(a, true),
    () => {
      if (guest.ram.word(COUNT_AP) > 100) throw new Error("the device failed");
    },
  );
  const bridge = guest.vm.bridge(guest.targets);
  const { tids } = bridge;
  bridge.start();
  let message = "";
  try {
    bridge.serve(
      () => true,
      () => false,
      () => {},
    );
  } catch (error) {
    message = error instanceof Error ? error.message : String(error);
  }
  const count = guest.ram.word(COUNT_AP);
  Bun.sleepSync(20);
  happens(() => !there(tids).includes(true));
  return {
    message,
    there: there(tids),
    still: guest.ram.word(COUNT_AP) === count,
  };
}

/** The guest asks for something that stops the machine: nothing is handed over, and its access is not half done. */
export function stops() {
  const port = 0x510;
  const guest = new Bridged(1, (a) => {
    a.mov(edx, port);
    a.mov(eax, 0);
    a.in(al);
    a.label("behind");
    a.inc(at(COUNT));
    a.jump("behind");
  });
  let mayRun = true;
  guest.targets.ports(port, 1, {
    read: () => {
      mayRun = false;
      return 0x5a;
    },
    write: () => {},
  });
  let taken = 0;
  const bridge = guest.vm.bridge(guest.targets);
  bridge.start();
  bridge.serve(
    () => mayRun,
    () => false,
    () => taken++,
  );
  const registers = guest.vm.vcpus[0]?.describeRegisters() ?? "";
  return {
    taken,
    count: guest.ram.word(COUNT),
    eax: /RAX=(\w+)/.exec(registers)?.[1],
    eip: Number.parseInt(/RIP=(\w+)/.exec(registers)?.[1] ?? "", 16) - CODE,
  };
}

/** Made ready, and stopped before the start; then once more, and started. */
export function neverStarted() {
  const guest = new Bridged(1, (a) => {
    a.label("count");
    a.inc(at(COUNT));
    a.jump("count");
  });
  const waiting = guest.vm.bridge(guest.targets);
  const takeOver = () => {};
  waiting.serve(
    () => false,
    () => false,
    takeOver,
  );
  const count = guest.ram.word(COUNT);
  const bridge = guest.vm.bridge(guest.targets);
  bridge.start();
  bridge.serve(
    () => guest.ram.word(COUNT) === 0,
    () => false,
    takeOver,
  );
  return { count, counts: guest.ram.word(COUNT) > 0 };
}

/** The guest does what KVM cannot run. */
export function fails() {
  const guest = new Bridged(1, (a) => {
    a.mov(eax, 0xd0000000);
    a.jumpTo(eax);
  });
  const bridge = guest.vm.bridge(guest.targets);
  bridge.start();
  bridge.serve(
    () => guest.targets.ends.length === 0,
    () => false,
    () => {},
  );
  return { ends: guest.targets.ends };
}

function awaitTrue(condition: () => boolean): void {
  const until = performance.now() + LIMIT_MS;
  while (!condition()) {
    if (performance.now() > until) throw new Error("it does not happen");
    Bun.sleepSync(1);
  }
}
