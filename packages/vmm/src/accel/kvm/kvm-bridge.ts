/**
 * Runs vCPUs before their threads are up.
 *
 * A Worker takes 7 ms to come up, most of the time in which a live update can be done. So until then each vCPU runs on a
 * bare native thread, whose whole program is to wait for the start and one KVM_RUN; the main thread serves its exits and
 * starts it again, and hands the vCPU to its Worker as soon as that is ready. `docs/threads.md` has the figures.
 */
import {
  addressOf,
  E,
  executable,
  futexWake,
  pthreadCreate,
  pthreadJoin,
  pthreadKill,
  pthreadTryJoin,
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

/** How long the main thread sleeps between two looks at the threads (µs). */
const POLL_US = 50;
/** Bytes of the gate, with what aligns the passes behind it. */
const GATE_SIZE = 8;
/** How long a thread may take to be ready (ms). */
const READY_MS = 10_000;
const READY_POLL_US = 20;

/**
 * What a thread is told: the gate at which it waits until that is not 0 (a futex), the vCPU, whether it is to be an
 * ordinary thread from then on, and the priority of those, which is 0 (a `struct sched_param`). It tells its id when it is
 * ready.
 */
const Pass = struct("bridge-pass", { gate: u64, fd: u32, tid: u32, hurried: u32, priority: u32 });

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

/** `run(pass)`: waits at the gate, ends its hurry, makes one `ioctl(fd, KVM_RUN, 0)`, and returns 0 or a negative errno. */
// biome-ignore format: one instruction a line
const RUN_ONCE = Uint8Array.of(
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
  ...[0x5b], // pop rbx
  ...[0xc3], // ret
);

interface Bridged {
  readonly handle: VcpuHandle;
  /** Address of its pass. */
  readonly pass: number;
  readonly told: { readonly tid: number; hurried: number };
  readonly run: DataView;
  readonly dispatch: ExitDispatch;
  thread: bigint;
}

export class KvmBridge implements VcpuBridge {
  #vcpus: Bridged[];
  #code = executable(Uint8Array.of(...PREPARE, ...RUN_ONCE));
  /** The gate, and behind it the passes: memory that stays where it is. */
  #memory: ArrayBuffer;
  #gate: Int32Array;

  /**
   * Makes ready: threads that wait are there sooner than threads that are yet to be started.
   *
   * @param vcpus Each vCPU with its mapped run structure.
   * @param targets Serve the exits that come meanwhile, in the main thread.
   */
  constructor(vcpus: readonly { handle: VcpuHandle; run: DataView }[], targets: ExitTargets) {
    // the threads inherit the mask: a kick that comes between two KVM_RUNs must wait, not kill
    blockKickSignal();
    this.#memory = new ArrayBuffer(GATE_SIZE + vcpus.length * Pass.size);
    this.#gate = new Int32Array(this.#memory, 0, 1);
    this.#vcpus = vcpus.map(({ handle, run }, i) => {
      const offset = GATE_SIZE + i * Pass.size;
      const pass = addressOf(this.#memory) + offset;
      const told = Pass.at(this.#memory, offset);
      Object.assign(told, { gate: BigInt(addressOf(this.#gate)), fd: handle.fd });
      const dispatch = new ExitDispatch(run, targets, handle.index);
      run.setUint8(RUN.IMMEDIATE_EXIT, 1);
      return { handle, pass, told, run, dispatch, thread: pthreadCreate(this.#code, pass) };
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
    futexWake(addressOf(this.#gate));
  }

  serve(mayRun: () => boolean, isUp: (vcpu: number) => boolean, takeOver: (vcpu: number) => void): void {
    this.#endIfNotStarted();
    while (this.#vcpus.length > 0) {
      const stopped = !mayRun();
      this.#vcpus = this.#vcpus.filter((vcpu) => {
        if (stopped || isUp(vcpu.handle.index)) {
          this.#stop(vcpu);
          if (mayRun()) takeOver(vcpu.handle.index);
          return false;
        }
        this.#poll(vcpu, mayRun);
        return true;
      });
      if (this.#vcpus.length > 0) usleep(POLL_US);
    }
  }

  #startAgain(pass: number): bigint {
    return pthreadCreate(this.#code + PREPARE.length, pass);
  }

  /** Lets threads that still wait come back without a word to the guest. */
  #endIfNotStarted(): void {
    if (Atomics.load(this.#gate, 0) !== 0) return;
    for (const { run } of this.#vcpus) run.setUint8(RUN.IMMEDIATE_EXIT, 1);
    this.start();
  }

  /** Serves the exit that ended the thread, if one did, and starts it again. */
  #poll(vcpu: Bridged, mayRun: () => boolean): void {
    const result = pthreadTryJoin(vcpu.thread);
    if (result === undefined) return;
    this.#served(vcpu, result);
    vcpu.thread = mayRun() ? this.#startAgain(vcpu.pass) : 0n;
  }

  /** Ends the thread, with no exit half done: the vCPU can be run by another thread, or saved. */
  #stop(vcpu: Bridged): void {
    if (vcpu.thread !== 0n) {
      vcpu.run.setUint8(RUN.IMMEDIATE_EXIT, 1);
      pthreadKill(vcpu.thread, KICK_SIGNAL);
      this.#served(vcpu, pthreadJoin(vcpu.thread));
    }
    finishExit(vcpu.handle.fd, vcpu.run, vcpu.dispatch);
  }

  #served(vcpu: Bridged, result: bigint): void {
    const status = Number(BigInt.asIntN(64, result));
    if (status >= 0) vcpu.dispatch.serve();
    else if (status !== -E.EINTR && status !== -E.EAGAIN) vcpu.dispatch.fail(-status);
  }
}
