/**
 * A lull in the guest's dealings with its devices. Guests go to their devices in bursts, many of them at intervals: a line
 * on the console, a timer's work. While the program is replaced nobody serves them, so the best moment is right after a
 * burst. Which guest has none within the limit is not likely to have one in the next few ms either.
 */
import { monotonicNs } from "@vmm/libc";
import type { Machine } from "./machine.ts";

/** How often the vCPUs' counts are looked at (ms). */
const LOOK_MS = 1;
/** Without an access for so long a burst is over. */
const QUIET_NS = 2e6;
/** The longest wait: about the interval of a guest that does something four times a second. */
const LIMIT_NS = 250e6;

/**
 * Waits until a burst of accesses is over, or for the limit.
 *
 * @param goOn Throws where there is no point in waiting any more.
 */
export async function awaitLull({ vm, control }: Machine, goOn: () => void): Promise<void> {
  const vcpus = vm.vcpus.map(({ index }) => control.vcpu(index));
  const accesses = () => vcpus.reduce((sum, vcpu) => sum + vcpu.accesses, 0);
  const endNs = monotonicNs() + LIMIT_NS;
  let last = accesses();
  let quietFromNs = Number.POSITIVE_INFINITY;
  for (let now = monotonicNs(); now < endNs && now - quietFromNs < QUIET_NS; now = monotonicNs()) {
    await Bun.sleep(LOOK_MS);
    goOn();
    const seen = accesses();
    if (seen !== last) quietFromNs = monotonicNs();
    last = seen;
  }
}
