/** A guest that is moved: its state is saved from one VM and loaded into a new one over the same memory. */
import type { SavedRecord } from "@vmm/cpr";
import type { RestoreTime } from "../src/accel/accelerator.ts";
import { KvmVm } from "../src/accel/kvm/index.ts";
import type { Guest } from "./kvm-guest.ts";

export const SAME_BOOT: RestoreTime = { elapsedNs: 0, sameBoot: true };

export type State = Map<string, SavedRecord>;

export const byName = (records: readonly SavedRecord[]): State => new Map(records.map((r) => [r.name, r]));

/**
 * A new VM over the guest's memory with the guest's state; the old VM ends.
 *
 * @param change What is done to the state in between.
 */
export function moved(guest: Guest, change: (state: State) => void = () => {}): Guest {
  const state = byName(guest.vm.save());
  change(state);
  guest.vm.close();
  const next = guest.over(new KvmVm(1));
  next.vm.restore(state, SAME_BOOT);
  return next;
}
