/**
 * Runs vCPUs before their threads are up.
 *
 * A Worker takes 7 ms to come up, most of the time in which a live update can be done. So until then each vCPU runs on a
 * bare native thread, whose whole program is to wait for the start and make one KVM_RUN after the other; the main thread
 * serves the exits between them, and hands the vCPU to its Worker as soon as that is ready. `docs/threads.md` has the figures.
 */
import {
  E,
  executable,
  futexWait,
  futexWake,
  i64,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  memoryView,
  mmap,
  PROT_READ,
  PROT_WRITE,
  pthreadCreate,
  pthreadJoin,
  pthreadKill,
  SCHED_RESET_ON_FORK,
  struct,
  u32,
  u64,
  usleep,
} from "@vmm/libc";
import { VmmError } from "../../vmm-error.ts";
import type { ExitTargets, VcpuBridge, VcpuHandle } from "../accelerator.ts";
import { ExitDispatch } from "./exit-dispatch.ts";
import { finishExit } from "./finish-exit.ts";
import { blockKickSignal, KICK_SIGNAL } from "./kvm-runner.ts";
import { KVM_RUN, RUN } from "./uapi/kvm.ts";

/** How long the main thread sleeps between two looks at whether a Worker is up (ns): an exit wakes it sooner. */
const LOOK_NS = 200_000;
/** Bytes of the gate and the bell: two words. */
const GATE_SIZE = 8;
const BELL = 4;
/** How long a thread may take to be ready (ms). */
const READY_MS = 10_000;
const READY_POLL_US = 20;
/** How long one may take to leave guest mode (ms). */
const STOP_MS = 10_000;

/**
 * What a thread is told: the gate at which it waits until that is not 0 (a futex), the vCPU, whether it is to be an
 * ordinary thread from then on, and the priority of those, which is 0 (a `struct sched_param`). It tells its id when it is
 * ready; and after a KVM_RUN what that gave, by `state` (a futex, see `STATE`) and by one more in the bell (another).
 */
const Pass = struct("bridge-pass", {
  gate: u64,
  fd: u32,
  tid: u32,
  hurried: u32,
  priority: u32,
  bell: u64,
  state: u32,
  unused: u32,
  result: i64,
});

/** `exited` is the thread's word, the others are ours: to run on, or to end. */
const STATE = { running: 0, exited: 1, ending: 2 } as const;

/** `ioctl(fd, KVM_RUN, 0)`, with the pass in rbx. */
// biome-ignore format: one instruction a line
const CALL_KVM_RUN = [
  ...[0x8b, 0x7b, 0x08], // mov edi, [rbx+8]
  ...[0xbe, KVM_RUN.number & 0xff, KVM_RUN.number >> 8, 0, 0], // mov esi, KVM_RUN
  ...[0x31, 0xd2], // xor edx, edx
  ...[0xb8, 0x10, 0x00, 0x00, 0x00], // mov eax, SYS_ioctl
  ...[0x0f, 0x05], // syscall
];

/**
 * `prepare(pass)`: makes one `ioctl(fd, KVM_RUN, 0)`, notes the thread's id, and goes on to `run`. With `immediate_exit` set
 * nothing runs: but what KVM does in the first call of a VM, such as starting a thread of its own, takes 0.2 ms.
 */
// biome-ignore format: one instruction a line
const PREPARE = Uint8Array.of(
  ...[0x53], // push rbx
  ...[0x48, 0x89, 0xfb], // mov rbx, rdi
  ...CALL_KVM_RUN,
  ...[0xb8, 0xba, 0x00, 0x00, 0x00], // mov eax, SYS_gettid
  ...[0x0f, 0x05], // syscall
  ...[0x89, 0x43, 0x0c], // mov [rbx+12], eax
  ...[0x48, 0x89, 0xdf], // mov rdi, rbx
  ...[0x5b], // pop rbx
);

/** `run(pass)`: waits at the gate, ends its hurry, makes one `ioctl(fd, KVM_RUN, 0)` after the other, each when it is told to. */
// biome-ignore format: one instruction a line
const RUN_ON = Uint8Array.of(
  ...[0x53], // push rbx
  ...[0x48, 0x89, 0xfb], // mov rbx, rdi
  // wait:
  ...[0x48, 0x8b, 0x3b], // mov rdi, [rbx]
  ...[0x83, 0x3f, 0x00], // cmp dword [rdi], 0
  ...[0x75, 0x10], // jne run
  ...[0x31, 0xf6], // xor esi, esi (FUTEX_WAIT)
  ...[0x31, 0xd2], // xor edx, edx
  ...[0x45, 0x31, 0xd2], // xor r10d, r10d
  ...[0xb8, 0xca, 0x00, 0x00, 0x00], // mov eax, SYS_futex
  ...[0x0f, 0x05], // syscall
  ...[0xeb, 0xe8], // jmp wait
  // run:
  ...[0x83, 0x7b, 0x10, 0x00], // cmp dword [rbx+16], 0
  ...[0x74, 0x12], // je ordinary
  ...[0x31, 0xff], // xor edi, edi
  ...[0xbe, 0x00, 0x00, 0x00, SCHED_RESET_ON_FORK >>> 24], // mov esi, SCHED_OTHER | SCHED_RESET_ON_FORK
  ...[0x48, 0x8d, 0x53, 0x14], // lea rdx, [rbx+20]
  ...[0xb8, 0x90, 0x00, 0x00, 0x00], // mov eax, SYS_sched_setscheduler
  ...[0x0f, 0x05], // syscall
  // ordinary:
  ...CALL_KVM_RUN,
  ...[0x48, 0x89, 0x43, 0x28], // mov [rbx+40], rax
  ...[0xc7, 0x43, 0x20, STATE.exited, 0, 0, 0], // mov dword [rbx+32], exited
  ...[0x48, 0x8b, 0x7b, 0x18], // mov rdi, [rbx+24]
  ...[0xf0, 0xff, 0x07], // lock inc dword [rdi]
  ...[0xbe, 0x01, 0x00, 0x00, 0x00], // mov esi, FUTEX_WAKE
  ...[0xba, 0x01, 0x00, 0x00, 0x00], // mov edx, 1
  ...[0xb8, 0xca, 0x00, 0x00, 0x00], // mov eax, SYS_futex
  ...[0x0f, 0x05], // syscall
  // told:
  ...[0x8b, 0x53, 0x20], // mov edx, [rbx+32]
  ...[0x83, 0xfa, STATE.exited], // cmp edx, exited
  ...[0x75, 0x12], // jne go
  ...[0x48, 0x8d, 0x7b, 0x20], // lea rdi, [rbx+32]
  ...[0x31, 0xf6], // xor esi, esi (FUTEX_WAIT)
  ...[0x45, 0x31, 0xd2], // xor r10d, r10d
  ...[0xb8, 0xca, 0x00, 0x00, 0x00], // mov eax, SYS_futex
  ...[0x0f, 0x05], // syscall
  ...[0xeb, 0xe6], // jmp told
  // go:
  ...[0x85, 0xd2], // test edx, edx
  ...[0x74, 0xae], // je ordinary
  ...[0x5b], // pop rbx
  ...[0xc3], // ret
);

interface Bridged {
  readonly handle: VcpuHandle;
  /** Address of its pass, its `state`, and what the pass says. */
  readonly pass: number;
  readonly state: Int32Array;
  readonly told: { readonly tid: number; hurried: number; readonly result: bigint };
  readonly run: DataView;
  readonly dispatch: ExitDispatch;
  readonly thread: bigint;
}

export class KvmBridge implements VcpuBridge {
  #vcpus: Bridged[];
  #code = executable(Uint8Array.of(...PREPARE, ...RUN_ON));
  /** Of the gate and the bell, and behind them the passes: never given back, since a thread that is stuck may have use for it. */
  #address: number;
  #gate: Int32Array;
  #bell: Int32Array;

  /**
   * Makes ready: threads that wait are there sooner than threads that are yet to be started.
   *
   * @param vcpus Each vCPU with its mapped run structure.
   * @param targets Serve the exits that come meanwhile, in the main thread.
   */
  constructor(vcpus: readonly { handle: VcpuHandle; run: DataView }[], targets: ExitTargets) {
    // the threads inherit the mask: a kick that comes between two KVM_RUNs must wait, not kill
    blockKickSignal();
    const length = GATE_SIZE + vcpus.length * Pass.size;
    this.#address = mmap({
      length,
      prot: PROT_READ | PROT_WRITE,
      flags: MAP_PRIVATE | MAP_ANONYMOUS,
    });
    const memory = memoryView(this.#address, length);
    this.#gate = new Int32Array(memory, 0, 1);
    this.#bell = new Int32Array(memory, BELL, 1);
    this.#vcpus = vcpus.map(({ handle, run }, i) => {
      const offset = GATE_SIZE + i * Pass.size;
      const pass = this.#address + offset;
      const told = Pass.at(memory, offset);
      Object.assign(told, { gate: BigInt(this.#address), bell: BigInt(this.#address + BELL), fd: handle.fd });
      const state = new Int32Array(memory, offset + Pass.offsets.state, 1);
      const dispatch = new ExitDispatch(run, targets, handle.index);
      run.setUint8(RUN.IMMEDIATE_EXIT, 1);
      return { handle, pass, state, told, run, dispatch, thread: pthreadCreate(this.#code, pass) };
    });
    this.#awaitReady();
  }

  #awaitReady(): void {
    const deadline = performance.now() + READY_MS;
    for (const { handle, told, run } of this.#vcpus) {
      while (told.tid === 0) {
        if (performance.now() > deadline)
          throw new VmmError("accel", `the first thread of vCPU ${handle.index} does not come up`);
        usleep(READY_POLL_US);
      }
      run.setUint8(RUN.IMMEDIATE_EXIT, 0);
    }
  }

  get tids(): readonly number[] {
    return this.#vcpus.map(({ told }) => told.tid);
  }

  endHurry(tid: number): void {
    for (const { told } of this.#vcpus) if (told.tid === tid) told.hurried = 1;
  }

  start(): void {
    Atomics.store(this.#gate, 0, 1);
    futexWake(this.#address);
  }

  serve(mayRun: () => boolean, isUp: (vcpu: number) => boolean, takeOver: (vcpu: number) => void): void {
    this.#endIfNotStarted();
    try {
      while (this.#vcpus.length > 0) {
        // before the look: an exit that comes after it ends the wait
        const rung = this.#rung;
        for (const vcpu of [...this.#vcpus]) {
          const served = this.#serveExit(vcpu);
          if (!mayRun() || isUp(vcpu.handle.index)) {
            this.#stop(vcpu, served);
            if (mayRun()) takeOver(vcpu.handle.index);
          } else if (served) this.#tell(vcpu, STATE.running);
        }
        if (this.#vcpus.length > 0) futexWait(this.#address + BELL, rung, LOOK_NS);
      }
    } finally {
      // a device failed, or a Worker: no vCPU runs on that nobody serves
      for (const vcpu of [...this.#vcpus]) this.#end(vcpu);
    }
  }

  /** Lets threads that still wait come back without a word to the guest. */
  #endIfNotStarted(): void {
    if (Atomics.load(this.#gate, 0) !== 0) return;
    for (const { run } of this.#vcpus) run.setUint8(RUN.IMMEDIATE_EXIT, 1);
    this.start();
  }

  /** Serves the exit that the thread waits at, if it does. It waits on. */
  #serveExit({ state, told, dispatch }: Bridged): boolean {
    if (Atomics.load(state, 0) !== STATE.exited) return false;
    const status = Number(told.result);
    if (status >= 0) dispatch.serve();
    else if (status !== -E.EINTR && status !== -E.EAGAIN) dispatch.fail(-status);
    return true;
  }

  #tell({ pass, state }: Bridged, word: number): void {
    Atomics.store(state, 0, word);
    futexWake(pass + Pass.offsets.state);
  }

  /**
   * Stops a vCPU, with no exit half done: it can be run by another thread, or saved.
   *
   * @param served Whether the thread waits at an exit that was served.
   */
  #stop(vcpu: Bridged, served: boolean): void {
    if (!served) {
      this.#interrupt(vcpu);
      this.#serveExit(vcpu);
    }
    this.#end(vcpu);
    finishExit(vcpu.handle.fd, vcpu.run, vcpu.dispatch);
  }

  /** Returns when the thread is out of KVM_RUN. @throws VmmError `accel` where it does not come out. */
  #interrupt({ handle, run, state, thread }: Bridged): void {
    run.setUint8(RUN.IMMEDIATE_EXIT, 1);
    pthreadKill(thread, KICK_SIGNAL);
    const deadline = performance.now() + STOP_MS;
    for (let rung = this.#rung; Atomics.load(state, 0) !== STATE.exited; rung = this.#rung) {
      if (performance.now() > deadline)
        throw new VmmError("accel", `the first thread of vCPU ${handle.index} does not leave guest mode`);
      futexWait(this.#address + BELL, rung, LOOK_NS);
    }
  }

  /** Ends the thread. */
  #end(vcpu: Bridged): void {
    this.#vcpus = this.#vcpus.filter((other) => other !== vcpu);
    if (Atomics.load(vcpu.state, 0) !== STATE.exited) this.#interrupt(vcpu);
    this.#tell(vcpu, STATE.ending);
    pthreadJoin(vcpu.thread);
  }

  get #rung(): number {
    return Atomics.load(this.#bell, 0);
  }
}
