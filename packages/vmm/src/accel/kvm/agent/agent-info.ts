/** What a program must know to find the agents that an earlier one started: a record of the saved state. */
import type { SavedRecord } from "@vmm/cpr";
import { VmmError } from "../../../vmm-error.ts";
import { opaqueRecord } from "../state-record.ts";
import type { VcpuFeatures } from "../vcpu-state.ts";

const OWNER = "vm";
const KIND = "kvm-agents";

/** The record's name. */
export const AGENT_RECORD = `${OWNER}/${KIND}`;

export interface AgentInfo {
  /** The first control block's address for the agents. */
  readonly base: number;
  /** The VM's fd, for the agents. */
  readonly vmFd: number;
  /** When the vCPUs stood still while they were handed to the agents, in ns of CLOCK_MONOTONIC. */
  readonly handOff: { readonly fromNs: number; readonly toNs: number };
  readonly vcpus: readonly {
    readonly pid: number;
    /** The vCPU's fd, for the agent. */
    readonly fd: number;
    readonly features: VcpuFeatures;
  }[];
  /** The pid of one that runs none: it can read a vCPU whose agent has ended. Its control block comes after all others. */
  readonly spare?: number;
}

export function agentRecord(info: AgentInfo): SavedRecord {
  return opaqueRecord(OWNER, KIND, new TextEncoder().encode(JSON.stringify(info)));
}

/** @returns `undefined` where no vCPU runs on. @throws VmmError `state` */
export function readAgentRecord(records: ReadonlyMap<string, SavedRecord>): AgentInfo | undefined {
  const record = records.get(AGENT_RECORD);
  if (!record) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(record.data)) as AgentInfo;
  } catch (cause) {
    throw new VmmError("state", `record "${record.name}" is not what this VMM wrote`, { cause });
  }
}

/** Names in the fd table: the control blocks, and the vCPUs by index. */
export const AGENT_FDS = { control: "kvm-agents", vcpu: "kvm-agent-vcpu" } as const;
