/**
 * While a guest stands still for a transfer, the threads that it waits for run before all ordinary threads of the host: on a
 * busy one each of them would else wait several times for its turn. For some ms, and only where the process may.
 */
import { runFirst } from "@vmm/libc";
import type { Machine } from "./machine.ts";

/** The main thread comes first: it has to be able to end this while vCPUs run. */
const MAIN = 2;
const VCPU = 1;

/**
 * Hurries the calling thread, the main one, and the vCPU threads, once these are up.
 *
 * @returns Ends it. Until then, guest code runs so as well.
 */
export function hurry({ vm, control }: Machine): () => void {
  const tids = vm.vcpus.map(({ index }) => control.vcpu(index).tid).filter((tid) => tid !== 0);
  // The main thread is the first to begin and the last to end: as an ordinary one it would get no time to do the rest,
  // where each processor has a vCPU.
  const ends = [runFirst(0, MAIN), ...tids.map((tid) => runFirst(tid, VCPU))].reverse();
  return () => {
    for (const end of ends) end?.();
  };
}
