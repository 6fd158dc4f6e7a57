/** vCPUs in threads of their own that are kicked, paused, moved and resumed, for `kvm-runner.test.ts`. */
import { usleep } from "@vmm/libc";
import { KvmVm } from "../src/accel/kvm/index.ts";
import * as kvm from "../src/accel/kvm/uapi/kvm.ts";
import { type Assembler, at, eax, ebx, ecx, edi, edx, esi } from "../src/boot/asm-x86.ts";
import { Kick, NO_CALLS } from "../src/machine/kick.ts";
import { VcpuControl } from "../src/machine/vcpu-control.ts";
import { assemble, CODE, finish, Ram, STACK } from "./kvm-guest.ts";
import { maskPics, takeInterrupts, takenAt } from "./kvm-interrupts.ts";
import { SEQUENCE, SEQUENCE_MMIO, SHARED, type ThreadStart } from "./kvm-thread.ts";

const COUNT = 0x2000;
const BUFFER = 0x3000;
/** Numbers that one `rep insd` takes. */
const BURST = 3;
const LIMIT_MS = 10_000;

/**
 * Takes numbers from the device by `in`, by `rep insd` and from memory, compares each with the one expected, which is in
 * a register only, and sends it back. Ends where one is wrong.
 */
function sequenceGuest(a: Assembler): void {
  a.cld();
  a.mov(ebx, 0); // numbers from the port
  a.mov(esi, 0); // rounds, as many as numbers from memory
  a.label("round");
  a.mov(edx, SEQUENCE.next);
  a.in(eax);
  a.cmp(eax, ebx);
  a.jumpIf("notEqual", "wrong");
  a.inc(ebx);
  a.mov(edi, BUFFER);
  a.mov(ecx, BURST);
  a.byte(0xf3, 0x6d); // rep insd
  for (let i = 0; i < BURST; i++) {
    a.mov(eax, at(BUFFER + 4 * i));
    a.cmp(eax, ebx);
    a.jumpIf("notEqual", "wrong");
    a.inc(ebx);
  }
  a.mov(edx, SEQUENCE.confirm);
  a.mov(eax, ebx);
  a.out(eax);
  a.mov(eax, at(SEQUENCE_MMIO));
  a.cmp(eax, esi);
  a.jumpIf("notEqual", "wrong");
  a.inc(esi);
  a.mov(at(SEQUENCE_MMIO + 4), esi);
  a.inc(at(COUNT));
  a.cmp(esi, at(COUNT));
  a.jumpIf("equal", "round");
  a.label("wrong");
}

/** A vCPU in a thread, over memory that stays when the VM is replaced. */
class Threaded {
  readonly ram = new Ram();
  readonly shared = new SharedArrayBuffer(256);
  readonly words = new Int32Array(this.shared);
  readonly control = new VcpuControl(this.words, SHARED.control);
  vm = new KvmVm(1);
  #pauses = 0;

  constructor(program: (a: Assembler) => void) {
    this.ram.attach(this.vm);
    this.ram.memory.write(CODE, assemble(program));
    this.vm.reset({ eip: CODE, esp: STACK });
    this.#startThread();
  }

  #startThread(): void {
    Atomics.store(this.words, SHARED.control, 0);
    Atomics.store(this.words, SHARED.control + 1, 0);
    const worker = new Worker(new URL("./kvm-thread.ts", import.meta.url).href);
    const start: ThreadStart = { handle: this.vcpu.handle, shared: this.shared };
    worker.postMessage(start);
    if (!this.control.awaitLeaving(["starting"], LIMIT_MS)) throw new Error("the thread does not come up");
  }

  get vcpu() {
    const [vcpu] = this.vm.vcpus;
    if (!vcpu) throw new Error("no vCPU");
    return vcpu;
  }

  word(index: number): number {
    return Atomics.load(this.words, index);
  }

  /** By a list of system calls, and by calls out of JavaScript, in turn. */
  pause(): void {
    const i = ++this.#pauses;
    if (i % 2 === 0) {
      if (!new Kick([{ vcpu: this.vcpu, control: this.control }], NO_CALLS, i % 4 === 0).make())
        throw new Error("the kick went wrong");
    } else {
      this.control.want("pause");
      this.vcpu.interrupt(this.control.tid);
    }
    if (!this.control.awaitLeaving(["running"], LIMIT_MS)) throw new Error("the vCPU does not pause");
  }

  /** Moves the paused guest to a new VM, with a new thread. */
  move(): void {
    const records = new Map(this.vm.save().map((record) => [record.name, record]));
    this.control.want("quit");
    if (!this.control.awaitLeaving(["running", "paused"], LIMIT_MS))
      throw new Error("the thread does not end");
    this.vm.close();
    this.vm = new KvmVm(1);
    this.ram.attach(this.vm);
    this.vm.restore(records, { elapsedNs: 0, sameBoot: true });
    this.#startThread();
  }

  awaitTrue(condition: () => boolean): void {
    const until = performance.now() + LIMIT_MS;
    while (!condition()) {
      if (performance.now() > until) throw new Error("it does not happen");
      usleep(100);
    }
  }
}

/** Pauses and resumes, at every kind of moment; each `moveEvery`-th time the guest goes on in another VM. */
function storm(pauses: number, moveEvery: number) {
  const guest = new Threaded(sequenceGuest);
  let moved = 0;
  let whilePaused = 0;
  for (let i = 1; i <= pauses; i++) {
    const before = guest.word(SHARED.exits);
    guest.control.want("run");
    // now and then before the thread has even begun
    if (i % 5 !== 0)
      guest.awaitTrue(() => guest.word(SHARED.exits) !== before || guest.word(SHARED.ended) !== 0);
    usleep((i * 37) % 150);
    guest.pause();
    const served = guest.word(SHARED.exits);
    if (i % moveEvery === 0) {
      guest.move();
      moved++;
    }
    if (guest.word(SHARED.exits) !== served) whilePaused++;
  }
  guest.control.want("run");
  const rounds = guest.ram.word(COUNT);
  guest.awaitTrue(() => guest.ram.word(COUNT) > rounds + 10 || guest.word(SHARED.ended) !== 0);
  guest.pause();
  const numbers = guest.word(SHARED.next);
  return {
    moved,
    whilePaused,
    wrong: guest.word(SHARED.wrong),
    ended: guest.word(SHARED.ended),
    // every number was used: those of the rounds that are done, and at the most those of one more
    unaccounted: numbers - (BURST + 1) * guest.ram.word(COUNT),
    rounds: guest.ram.word(COUNT),
  };
}

export const pauseStorm = () => storm(500, 1000);
export const moveStorm = () => storm(60, 3);

/** A guest that sleeps in `hlt` is paused, moved, and woken by an interrupt in its new VM. */
export function asleep() {
  const VECTOR = 0x41;
  const guest = new Threaded((a) => {
    takeInterrupts(a, [VECTOR]);
    maskPics(a);
    a.mov(at(COUNT), 1);
    a.sti();
    a.hlt();
    a.mov(at(COUNT), 2);
    finish(a);
  });
  guest.control.want("run");
  guest.awaitTrue(() => guest.ram.word(COUNT) === 1);
  const halted = () => mpState(guest.vm) === 3;
  // the pause may come between the count and the halt: let it go on then
  for (let i = 0; i < 100; i++) {
    guest.pause();
    if (halted()) break;
    guest.control.want("run");
    usleep(1000);
  }
  const state = mpState(guest.vm);
  guest.move();
  guest.control.want("run");
  usleep(20_000);
  const before = guest.ram.word(COUNT);
  guest.vm.signalMsi(0xfee00000n, VECTOR);
  guest.awaitTrue(() => guest.word(SHARED.ended) !== 0);
  return { state, before, after: guest.ram.word(COUNT), taken: guest.ram.word(takenAt(VECTOR)) };
}

function mpState(vm: KvmVm): number {
  const record = vm.save().find((r) => r.kind === "kvm-mp-state");
  return kvm.KvmMpState.at((record?.data ?? new Uint8Array(4)).slice().buffer).mp_state;
}
