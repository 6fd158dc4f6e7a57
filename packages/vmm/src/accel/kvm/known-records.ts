/**
 * Whether a state is that of a VM of this shape. A record that nobody here would load is state that the guest would lose,
 * so it is refused, as a device's is by `matchRecords`.
 */
import type { SavedRecord } from "@vmm/cpr";
import { VmmError } from "../../vmm-error.ts";
import { AGENT_RECORD } from "./agent/agent-info.ts";

type Records = ReadonlyMap<string, SavedRecord>;

/** The record that every saved vCPU has, whether it runs on or not. */
const OF_EACH_VCPU = "/kvm-cpuid";

const HELP = "give the VM the configuration that it had";

/** Records that are not among those known here, by name. */
export const unknownRecords = (records: Records, known: ReadonlySet<string>): string[] =>
  [...records.keys()].filter((name) => !known.has(name));

/** @throws VmmError `state` where there is a record that nobody here would load. */
export function requireKnown(records: Records, known: ReadonlySet<string>): void {
  const [name] = unknownRecords(records, known);
  if (name === undefined) return;
  throw new VmmError("state", `saved record "${name}" is not part of a VM of this shape: ${HELP}`);
}

/** @throws VmmError `state` where the state is that of another number of vCPUs. */
export function requireVcpus(records: Records, cpus: number): void {
  let saved = 0;
  for (const name of records.keys()) if (name.endsWith(OF_EACH_VCPU)) saved++;
  if (saved !== cpus) throw otherVcpus(saved, cpus);
}

/**
 * For vCPUs that run on: all that is saved of them is their CPUID, and who runs them.
 *
 * @param agents How many there are.
 * @param owners The names of the vCPUs here, such as `cpu0`.
 * @throws VmmError `state`
 */
export function requireHandedOver(records: Records, agents: number, owners: readonly string[]): void {
  requireVcpus(records, owners.length);
  if (agents !== owners.length) throw otherVcpus(agents, owners.length);
  requireKnown(records, new Set([AGENT_RECORD, ...owners.map((owner) => owner + OF_EACH_VCPU)]));
}

function otherVcpus(saved: number, cpus: number): VmmError {
  const vcpus = saved === 1 ? "1 vCPU" : `${saved} vCPUs`;
  return new VmmError("state", `the state is of a VM with ${vcpus}, and this one has ${cpus}: ${HELP}`);
}
