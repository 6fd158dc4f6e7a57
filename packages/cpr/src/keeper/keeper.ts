/**
 * The keeper: a small process, started at SETUP, that holds duplicates of every preserved fd from right before the exec to
 * the commit, so that no guest is lost where the new process dies or hangs. It then wins the commit word, makes sure that
 * the new process is dead, and becomes the old VMM itself.
 *
 * It ends by itself in every case: after the commit, when it is called off, when the VMM ends without an update.
 */
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLLIN,
  epollCreate,
  epollCtl,
  epollWait,
  isSyscallError,
  pidfdSendSignal,
  SIGKILL,
} from "@vmm/libc";
import { CommitWord } from "../commit-word.ts";
import { reasonOf } from "../cpr-error.ts";
import { decodeCprState } from "../cpr-state.ts";
import { endAll, pidOf, stopFamily } from "../descendants.ts";
import { execOldCommand } from "../exec/old-command.ts";
import { readSealedMemfd } from "../sealed-memfd.ts";
import { type ReceivedKeeperMessage, receiveMessage, sendMessage } from "./protocol.ts";
import { revivedState } from "./revived-state.ts";

const STATE_LIMIT = 16 << 20;
/** ms between two lines about a process that does not die. */
const COMPLAIN_MS = 10_000;

interface Watch {
  /** Undefined once the other side is gone. */
  socket: number | undefined;
  readonly epoll: number;
  timeoutMs: number;
  vmm: number | undefined;
  word: CommitWord | undefined;
  fds: number[];
  stateFd: number | undefined;
  helper: number | undefined;
  /** Pidfds of those who run the guest meanwhile. */
  runners: number[];
  /** When the new process must have committed, in ms of `performance.now`; undefined before exec. */
  deadline: number | undefined;
}

/**
 * `called-off`: the update was taken back, and who did that ends all that it had started. `over`: the new VMM runs the
 * guest, or nobody will any more. A text: why the keeper must bring the old VMM back.
 */
type Verdict = "called-off" | "over" | { readonly revive: string };

function arm(watch: Watch, socket: number, { message, fds }: ReceivedKeeperMessage): void {
  const [vmm, word] = fds;
  if (message.type !== "arm" || vmm === undefined || word === undefined)
    throw new Error("the VMM sent no pidfd");
  watch.timeoutMs = message.timeoutMs;
  watch.vmm = vmm;
  watch.word = CommitWord.open(word);
  epollCtl(watch.epoll, EPOLL_CTL_ADD, vmm, EPOLLIN);
  sendMessage(socket, { type: "ready" });
}

function startDeadline(watch: Watch): void {
  watch.deadline = performance.now() + watch.timeoutMs;
}

function hear(watch: Watch, socket: number, received: ReceivedKeeperMessage): Verdict | undefined {
  const { message, fds } = received;
  switch (message.type) {
    case "arm":
      arm(watch, socket, received);
      return undefined;
    case "helper":
      [watch.helper] = fds;
      return undefined;
    case "runners":
      watch.runners.push(...fds);
      return undefined;
    case "fds":
      watch.fds.push(...fds);
      return undefined;
    case "exec":
      [watch.stateFd] = fds;
      startDeadline(watch);
      return undefined;
    case "fallback":
      startDeadline(watch);
      return undefined;
    case "failed":
      return { revive: message.reason };
    case "disarm":
      return "called-off";
    default:
      return "over";
  }
}

function readSocket(watch: Watch): Verdict | undefined {
  while (watch.socket !== undefined) {
    const received = receiveMessage(watch.socket);
    if (received === undefined) return undefined;
    if (received === "end") {
      // After exec this says nothing: the new process may have closed its end or died, which its pidfd tells.
      epollCtl(watch.epoll, EPOLL_CTL_DEL, watch.socket);
      watch.socket = undefined;
      return watch.deadline === undefined ? "over" : undefined;
    }
    const verdict = hear(watch, watch.socket, received);
    if (verdict) return verdict;
  }
  return undefined;
}

/** Waits until it is clear whether the keeper is needed. */
function observe(watch: Watch): Verdict {
  for (;;) {
    const left =
      watch.deadline === undefined ? -1 : Math.max(0, Math.ceil(watch.deadline - performance.now()));
    const ready = epollWait(watch.epoll, 4, left);
    // What the VMM said last counts before the fact that it is gone.
    const verdict = readSocket(watch);
    if (verdict) return verdict;
    if (ready.some(({ data }) => data === watch.vmm)) {
      return watch.deadline === undefined ? "over" : { revive: "the new VMM died before it ran the guest" };
    }
    if (watch.deadline !== undefined && performance.now() >= watch.deadline) {
      return { revive: `the new VMM did not run the guest within ${watch.timeoutMs} ms` };
    }
  }
}

/** Kills the process behind a pidfd, and returns once it has ended. */
function end(epoll: number, pidfd: number): void {
  for (;;) {
    try {
      pidfdSendSignal(pidfd, SIGKILL);
    } catch (error) {
      if (isSyscallError(error, "ESRCH")) return;
      throw error;
    }
    if (epollWait(epoll, 1, COMPLAIN_MS).some(({ data }) => data === pidfd)) return;
    console.error("vmm keeper: the new VMM does not die; the guest waits for it to end");
  }
}

function killHelpers(pidfds: readonly number[]): void {
  for (const pidfd of pidfds) {
    try {
      pidfdSendSignal(pidfd, SIGKILL);
    } catch {
      // It has ended by itself.
    }
  }
}

const teardownHelperOf = ({ helper }: Watch): number[] => (helper === undefined ? [] : [helper]);

/** Stops what the new command has started beside the VMM: it has the same fds. */
function stopDescendants({ runners }: Watch, vmm: number): number[] {
  const pid = pidOf(vmm);
  if (pid === undefined) return [];
  const spared = runners.map(pidOf).filter((runner) => runner !== undefined);
  return stopFamily(pid, new Set([process.pid, ...spared]));
}

function revive(watch: Watch, reason: string): never {
  const { vmm, stateFd } = watch;
  if (vmm === undefined || stateFd === undefined) throw new Error("there is no state to go back to");
  // The socket may still have something to say, which must not keep the wait below from waiting.
  const deaths = epollCreate();
  epollCtl(deaths, EPOLL_CTL_ADD, vmm, EPOLLIN);
  const family = stopDescendants(watch, vmm);
  end(deaths, vmm);
  endAll(family);
  // those who run the guest go on with it, until the old VMM takes it over from them
  killHelpers(teardownHelperOf(watch));
  const state = decodeCprState(readSealedMemfd(stateFd, "CPR state", STATE_LIMIT));
  console.error(`vmm keeper: ${reason}; going back to the old VMM as process ${process.pid}`);
  execOldCommand(revivedState(state, watch.fds, reason), process.env);
}

/**
 * The keeper's program. Ends the process, or replaces it by the old VMM.
 *
 * @param socket The fd of its end of the pair, `KEEPER_SOCKET_FD`.
 */
export function runKeeper(socket: number): never {
  const epoll = epollCreate();
  epollCtl(epoll, EPOLL_CTL_ADD, socket, EPOLLIN);
  const watch: Watch = {
    socket,
    epoll,
    timeoutMs: 0,
    vmm: undefined,
    word: undefined,
    fds: [],
    stateFd: undefined,
    helper: undefined,
    runners: [],
    deadline: undefined,
  };
  try {
    const verdict = observe(watch);
    if (typeof verdict === "object" && watch.word?.take("taken-back")) revive(watch, verdict.revive);
    // whoever has the guest now needs none of them, and may have died before it could end them
    if (verdict !== "called-off") killHelpers([...teardownHelperOf(watch), ...watch.runners]);
    process.exit(0);
  } catch (error) {
    console.error(`vmm keeper: ${reasonOf(error)}`);
    process.exit(1);
  }
}
