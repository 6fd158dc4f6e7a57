/**
 * Runs vCPUs before their threads are up.
 *
 * A Worker takes 7 ms to come up, most of the time in which a live update can be done. So until then each vCPU runs on a
 * bare native thread, whose whole program is one KVM_RUN; the main thread serves its exits and starts it again, and hands
 * the vCPU to its Worker as soon as that is ready. `docs/threads.md` has the figures.
 */
import { E, executable, pthreadCreate, pthreadJoin, pthreadKill, pthreadTryJoin, usleep } from "@vmm/libc";
import type { ExitTargets, VcpuBridge, VcpuHandle } from "../accelerator.ts";
import { ExitDispatch } from "./exit-dispatch.ts";
import { finishExit } from "./finish-exit.ts";
import { blockKickSignal, KICK_SIGNAL } from "./kvm-runner.ts";
import { KVM_RUN, RUN } from "./uapi/kvm.ts";

/** How long the main thread sleeps between two looks at the threads (µs). */
const POLL_US = 50;

/** `ioctl(fd, KVM_RUN, 0)` as x86-64 code: the argument is the fd, the result 0 or a negative errno. */
const RUN_ONCE = Uint8Array.of(
  ...[0xbe, KVM_RUN.number & 0xff, KVM_RUN.number >> 8, 0, 0], // mov esi, KVM_RUN
  ...[0x31, 0xd2], // xor edx, edx
  ...[0xb8, 16, 0, 0, 0], // mov eax, SYS_ioctl
  ...[0x0f, 0x05], // syscall
  0xc3, // ret
);

/** Where in it a thread does nothing but end. */
const RETURN_AT = RUN_ONCE.length - 1;

interface Bridged {
  readonly handle: VcpuHandle;
  readonly run: DataView;
  readonly dispatch: ExitDispatch;
  thread: bigint;
}

export class KvmBridge implements VcpuBridge {
  #vcpus: Bridged[];
  #code = executable(RUN_ONCE);

  /**
   * Makes ready.
   *
   * @param vcpus Each vCPU with its mapped run structure.
   * @param targets Serve the exits that come meanwhile, in the main thread.
   */
  constructor(vcpus: readonly { handle: VcpuHandle; run: DataView }[], targets: ExitTargets) {
    // the threads inherit the mask: a kick that comes between two KVM_RUNs must wait, not kill
    blockKickSignal();
    this.#vcpus = vcpus.map(({ handle, run }) => ({
      handle,
      run,
      dispatch: new ExitDispatch(run, targets, handle.index),
      thread: 0n,
    }));
    // the first thread of a process takes longer than the others
    pthreadJoin(pthreadCreate(this.#code + RETURN_AT, 0));
  }

  start(): void {
    for (const vcpu of this.#vcpus) vcpu.thread = this.#start(vcpu.handle);
  }

  serve(mayRun: () => boolean, isUp: (vcpu: number) => boolean, takeOver: (vcpu: number) => void): void {
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

  #start(handle: VcpuHandle): bigint {
    return pthreadCreate(this.#code, handle.fd);
  }

  /** Serves the exit that ended the thread, if one did, and starts it again. */
  #poll(vcpu: Bridged, mayRun: () => boolean): void {
    const result = pthreadTryJoin(vcpu.thread);
    if (result === undefined) return;
    this.#served(vcpu, result);
    vcpu.thread = mayRun() ? this.#start(vcpu.handle) : 0n;
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
