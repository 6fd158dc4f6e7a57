/**
 * Holding agents by one list of system calls; where one has ended, is busy or does not answer, they are held one by one, in
 * JavaScript. See `machine/kick.ts` for the reason.
 */
import {
  type BatchCall,
  isSyscallError,
  mayRunFirst,
  type RunFirst,
  runFirstLater,
  SYS,
  SyscallList,
} from "@vmm/libc";
import type { AgentHandle } from "./agent-control.ts";

/** `kill` with it only looks whether the process is there. */
export const NO_SIGNAL = 0;

export interface KickedAgent {
  readonly pid: number;
  readonly agent: AgentHandle;
}

export class AgentKick {
  readonly #agents: readonly KickedAgent[];
  readonly #calls: SyscallList;
  /** Take back that they run before others, one of each. */
  readonly endHurries: readonly ((() => void) | undefined)[];

  /**
   * @param signal That makes an agent leave guest mode. It waits in one that is parked, until that runs again.
   * @param before Calls to be made first.
   */
  constructor(agents: readonly KickedAgent[], signal: number, before: readonly BatchCall[] = []) {
    this.#agents = agents;
    const hurries = hurriesOf(agents);
    this.endHurries = hurries.map((hurry) => hurry?.end);
    this.#calls = new SyscallList([
      ...before,
      ...agents.map(({ agent }) => agent.holdCall),
      ...agents.map(({ pid }) => ({ number: SYS.kill, args: [pid, signal] })),
      // not sooner: guest code that runs before others would leave no processor to threads that this one may need
      ...hurries.flatMap((hurry) => hurry?.call ?? []),
      ...agents.map(({ agent }) => agent.awaitCall("running")),
    ]);
  }

  /** Has them park, and run before others from then on. Returns whether all have. None of them may have been reaped. */
  make(): boolean {
    for (const { agent } of this.#agents) if (agent.busy) return false;
    if (!this.#calls.make()) return false;
    for (const { agent } of this.#agents) if (!agent.parked) return false;
    return true;
  }
}

/** How each is to run before others, where it may. */
function hurriesOf(agents: readonly KickedAgent[]): (RunFirst | undefined)[] {
  const may = mayRunFirst();
  return agents.map(({ pid }) => {
    try {
      return may ? runFirstLater(pid) : undefined;
    } catch (error) {
      // one that is gone is not held either
      if (isSyscallError(error, "ESRCH")) return undefined;
      throw error;
    }
  });
}

/** What has agents that are parked make their batches, all at once; it waits for the first. */
export function beginList(agents: readonly KickedAgent[]): SyscallList {
  const [first] = agents;
  const begins = agents.flatMap(({ agent }) => agent.commandCalls("batch"));
  return new SyscallList(first ? [...begins, first.agent.awaitCall("busy")] : begins);
}
