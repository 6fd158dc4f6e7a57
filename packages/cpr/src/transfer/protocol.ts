/**
 * What the source of a transfer and its successor say to each other.
 *
 * | message | from | fds | |
 * |---|---|---|---|
 * | `fds` | source | some of the preserved fds | in the order of the CPR state, as often as needed |
 * | `begin` | source | CPR state, preview | the guest still runs: build on these fds, and say whether you could go on |
 * | `ready` | successor | report | it waits for the state, with nothing left to do first |
 * | `state` | source | fds that came since `begin` | the guest is stopped; after as many `fds` as needed |
 * | `running` | successor | | it has won the commit word and runs the guest |
 * | `failed` | successor | | it cannot go on, and ends |
 *
 * The end of the connection before `state` ends the successor. After it, the commit word decides who runs the guest:
 * messages only tell about it.
 */
import { CprError } from "../cpr-error.ts";
import { CPR_FD, checkMain, checkPhase, type MainChannel } from "../cpr-state.ts";
import { MAX_FD_NAME, MAX_FDS } from "../fd-table.ts";
import { type Json, JsonChecker } from "../json-check.ts";
import { receiveObject, sendObject } from "../message-socket.ts";
import { MAX_PHASES, type Phase } from "../phases.ts";

/** An entry of the fd table by its key. */
export interface FdKey {
  readonly name: string;
  readonly id: number;
}

export type TransferMessage =
  | { readonly type: "fds" }
  /** `mainSocket`: listen there as well, the state comes by that connection. */
  | { readonly type: "begin"; readonly mainSocket?: string }
  | { readonly type: "ready" }
  | {
      readonly type: "state";
      readonly main: MainChannel;
      /** The entries whose fds came since `begin`, in the order of the fds. */
      readonly added: readonly FdKey[];
      /** Entries of `begin` that are no more. */
      readonly removed: readonly FdKey[];
      readonly setupEndNs: number;
      readonly phases: readonly Phase[];
    }
  | { readonly type: "running" }
  | { readonly type: "failed"; readonly reason: string };

/** The longest message in bytes: below what a socket takes by default. */
const LIMIT = 128 * 1024;
const MAX_REASON = 4096;
const MAX_PATH = 4096;

const TYPES = ["fds", "begin", "ready", "state", "running", "failed"] as const;
const check = new JsonChecker("transfer", "a message of the other VMM");

/** Sends a message. @throws CprError `transfer`, SyscallError EPIPE where the other side is gone. */
export function sendTransfer(socket: number, message: TransferMessage, fds: readonly number[] = []): void {
  const short =
    message.type === "failed" ? { ...message, reason: message.reason.slice(0, MAX_REASON) } : message;
  if (!sendObject(socket, short, fds)) throw new CprError("transfer", "the other VMM does not read");
}

export interface ReceivedTransfer {
  readonly message: TransferMessage;
  readonly fds: readonly number[];
}

/**
 * The next message; `end` where the other side is gone, undefined where there is none yet.
 *
 * @throws CprError `transfer` for what is none.
 */
export function receiveTransfer(socket: number): ReceivedTransfer | "end" | undefined {
  const received = receiveObject(socket, LIMIT);
  if (received === undefined || received === "end") return received;
  return { message: checkMessage(received.object), fds: received.fds };
}

/** A `state` message as it may come. */
export const SAMPLE_STATE = JSON.stringify({
  type: "state",
  main: { type: "memfd" },
  added: [{ name: CPR_FD.main, id: 0 }],
  removed: [],
  setupEndNs: 0,
  phases: Array.from({ length: 8 }, () => ({ name: "a phase", startNs: 0.5, endNs: 1.5 })),
} satisfies TransferMessage);

/** Checks what came. @throws CprError `transfer` */
export function checkMessage(value: unknown): TransferMessage {
  const message = check.object(value, "the whole");
  const type = check.oneOf(message.type, "type", TYPES);
  if (type === "failed") return { type, reason: check.string(message.reason, "reason", MAX_REASON) };
  if (type === "begin") {
    const { mainSocket } = message;
    return mainSocket === undefined
      ? { type }
      : { type, mainSocket: check.string(mainSocket, "mainSocket", MAX_PATH) };
  }
  if (type !== "state") return { type };
  return {
    type,
    main: checkMain(message.main),
    added: check.array(message.added, "added", MAX_FDS).map(checkKey),
    removed: check.array(message.removed, "removed", MAX_FDS).map(checkKey),
    setupEndNs: check.number(message.setupEndNs, "setupEndNs"),
    phases: check.array(message.phases, "phases", MAX_PHASES).map(checkPhase),
  };
}

function checkKey(value: Json): FdKey {
  const key = check.object(value, "an fd's key");
  return {
    name: check.string(key.name, "an fd's name", MAX_FD_NAME),
    id: check.integer(key.id, "an fd's id", 0, 0x7fffffff),
  };
}
