/** Bringing a vCPU to the point at which it can be saved. */
import { ioctlRaw } from "@vmm/libc";
import type { ExitDispatch } from "./exit-dispatch.ts";
import { KVM_RUN, RUN } from "./uapi/kvm.ts";

/**
 * Lets KVM finish the access that the vCPU last exited for: what a read returned reaches the register only at the next
 * entry, and an `out` is over only then. A string access may exit again for its next element, which is served too. No
 * guest instruction beyond that one is run.
 */
export function finishExit(vcpu: number, run: DataView, dispatch: ExitDispatch): void {
  for (;;) {
    run.setUint8(RUN.IMMEDIATE_EXIT, 1);
    const done = ioctlRaw(vcpu, KVM_RUN.number, 0) < 0;
    run.setUint8(RUN.IMMEDIATE_EXIT, 0);
    if (done) return;
    dispatch.serve();
  }
}
