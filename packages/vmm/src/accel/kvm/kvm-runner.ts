/**
 * A vCPU's KVM_RUN loop, on the thread that owns the vCPU.
 *
 * The kick without a race: SIGUSR1 is blocked in the thread and unblocked only inside KVM_RUN (KVM_SET_SIGNAL_MASK), so a
 * signal that comes early waits and makes the next KVM_RUN return at once; `immediate_exit` does the same for a KVM_RUN
 * that has not yet begun. The signal is taken by sigtimedwait and has no handler.
 */
import {
  type BatchCall,
  E,
  errno,
  gettid,
  ioctl,
  ioctlRaw,
  MAP_SHARED,
  memoryView,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
  SIG_BLOCK,
  SIGUSR1,
  SignalSet,
  SYS,
  sigmask,
  sigtimedwait,
} from "@vmm/libc";
import { processSignals } from "../../process/end-signals.ts";
import type { ExitTargets, VcpuHandle, VcpuRunner } from "../accelerator.ts";
import { ExitDispatch } from "./exit-dispatch.ts";
import { finishExit } from "./finish-exit.ts";
import { KVM_RUN, KVM_SET_SIGNAL_MASK, KvmSignalMask, RUN } from "./uapi/kvm.ts";

/** The signal that makes KVM_RUN return. */
export const KICK_SIGNAL = SIGUSR1;

/** How often the taking of a kick is gone through before there is one. */
const REHEARSALS = 20;
const NO_FD = -1;

const kickSet = new SignalSet([KICK_SIGNAL]);

/** Blocks the kick signal in the calling thread, and in all threads that it starts. */
export function blockKickSignal(): void {
  sigmask(SIG_BLOCK, kickSet);
}

/**
 * Lets the kick signal through while the vCPU is in KVM_RUN. Signals to the process, such as SIGTERM, are not for a vCPU
 * thread; those that the thread itself causes and JSC's own (SIGPWR) must never be blocked.
 */
export function unblockKickInRun(vcpu: number): void {
  ioctl(vcpu, KVM_SET_SIGNAL_MASK, kvmSignalMask(processSignals()));
}

/** For a list of system calls: sets the signals that are blocked while the vCPU is in KVM_RUN. */
export const blockInRunCall = (vcpu: number, signals: SignalSet): BatchCall => ({
  number: SYS.ioctl,
  args: [vcpu, KVM_SET_SIGNAL_MASK.number, kvmSignalMask(signals).$bytes],
});

function kvmSignalMask(signals: SignalSet) {
  const mask = KvmSignalMask.alloc(8);
  mask.len = 8;
  mask.$bytes.set(signals.kernelMask, KvmSignalMask.size);
  return mask;
}

export class KvmRunner implements VcpuRunner {
  readonly tid = gettid();
  #fd: number;
  #address: number;
  #size: number;
  #run: DataView;
  #dispatch: ExitDispatch;

  constructor(handle: VcpuHandle, targets: ExitTargets) {
    blockKickSignal();
    this.#fd = handle.fd;
    this.#size = handle.runSize;
    this.#address = mmap({
      length: handle.runSize,
      prot: PROT_READ | PROT_WRITE,
      flags: MAP_SHARED,
      fd: handle.fd,
    });
    this.#run = new DataView(memoryView(this.#address, handle.runSize));
    this.#dispatch = new ExitDispatch(this.#run, targets, handle.index);
  }

  /**
   * Goes through what follows a kick, on no vCPU: the guest stands still when that code runs in earnest.
   *
   * @param shouldStop What `run` will be given; what it says does not matter here.
   */
  rehearseKick(shouldStop: () => boolean): void {
    const nowhere = new DataView(new ArrayBuffer(this.#size));
    for (let i = 0; i < REHEARSALS; i++) {
      // it finds the vCPU in the guest, and at a device
      let runs = i % 2;
      this.#runOn(NO_FD, nowhere, () => {
        shouldStop();
        return runs-- === 0;
      });
    }
  }

  /**
   * Has KVM do now, without running the guest, what it does when a vCPU is first run and by which thread: it starts a thread
   * of its own for the VM. Nobody else may run the vCPU meanwhile.
   */
  prepare(): void {
    finishExit(this.#fd, this.#run, this.#dispatch);
  }

  run(shouldStop: () => boolean): void {
    this.#runOn(this.#fd, this.#run, shouldStop);
  }

  #runOn(fd: number, run: DataView, shouldStop: () => boolean): void {
    const request = KVM_RUN.number;
    const dispatch = this.#dispatch;
    while (!shouldStop()) {
      if (ioctlRaw(fd, request, 0) >= 0) dispatch.serve();
      else if (!this.#interrupted(fd, run) || shouldStop()) return;
      else sigtimedwait(kickSet, 0);
    }
    finishExit(fd, run, dispatch);
  }

  /**
   * Releases the mapping of the run structure, and takes the last kick's signal. No more may come: a signal that is
   * pending when the thread goes back to its event loop, which blocks none while it waits, would kill the process.
   */
  close(): void {
    sigtimedwait(kickSet, 0);
    munmap(this.#address, this.#size);
  }

  /**
   * KVM_RUN failed: true where that was a kick. No exit is half done then: KVM finishes an access before it looks whether it
   * is to return. The signal is taken where the vCPU goes on: the guest may be waiting for all else to be done.
   */
  #interrupted(fd: number, run: DataView): boolean {
    const error = errno();
    if (error === E.EINTR || error === E.EAGAIN || fd === NO_FD) {
      run.setUint8(RUN.IMMEDIATE_EXIT, 0);
      return true;
    }
    this.#dispatch.fail(error);
    return false;
  }
}
