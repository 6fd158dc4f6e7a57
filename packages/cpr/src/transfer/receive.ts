/** What a successor gets from its source, message by message. */
import { close, POLLIN, poll } from "@vmm/libc";
import { CprError } from "../cpr-error.ts";
import { CPR_FD, type CprState, decodeCprState } from "../cpr-state.ts";
import type { FdTable } from "../fd-table.ts";
import { adoptFds } from "../preserved-fds.ts";
import { readSealedMemfd } from "../sealed-memfd.ts";
import { LOOK_EVERY_MS, type TransferListener } from "./listen.ts";
import { receiveTransfer, type TransferMessage } from "./protocol.ts";

const CPR_STATE_LIMIT = 16 << 20;

export type StateMessage = Extract<TransferMessage, { type: "state" }>;

export const sourceGone = () =>
  new CprError("transfer", "the source is gone, or goes on with the guest by itself");

const lacking = () => new CprError("fd-missing", "not all fds that the source told of have come");

/** The source's fds under the numbers that they have here. */
function adoptReceived({ fds }: CprState, received: readonly number[]): FdTable {
  if (fds.length !== received.length) throw lacking();
  return adoptFds(fds.map((entry, i) => ({ ...entry, fd: received[i] as number })));
}

/** What `begin` brought. */
export interface Begin {
  readonly state: CprState;
  readonly preview: number;
  readonly fds: FdTable;
  readonly word: number;
  readonly mainSocket?: string | undefined;
}

export function receiveBegin(socket: number, goOn: () => void): Begin {
  const { message, fds: received } = receive(socket, "begin", goOn);
  const [stateFd, previewFd] = received.slice(-2);
  if (stateFd === undefined || previewFd === undefined) throw lacking();
  const state = decodeCprState(readSealedMemfd(stateFd, "CPR state", CPR_STATE_LIMIT));
  close(stateFd);
  const fds = adoptReceived(state, received.slice(0, -2));
  const word = fds.findFd(CPR_FD.commitWord);
  if (word === undefined) throw new CprError("fd-missing", `the source gave no fd "${CPR_FD.commitWord}"`);
  return { state, preview: previewFd, fds, word, mainSocket: message.mainSocket };
}

/** The next message, with all fds that came since the one before. */
export function receive<T extends TransferMessage["type"]>(socket: number, type: T, goOn: () => void) {
  const fds: number[] = [];
  for (;;) {
    goOn();
    if (poll(socket, POLLIN, LOOK_EVERY_MS) === 0) continue;
    const received = receiveTransfer(socket);
    if (received === "end") throw sourceGone();
    if (!received) continue;
    fds.push(...received.fds);
    const { message } = received;
    if (message.type === type) return { message: message as Extract<TransferMessage, { type: T }>, fds };
    if (message.type !== "fds") throw new CprError("transfer", `the source said "${message.type}" too early`);
  }
}

/** Brings the fd table up to date with what happened while the guest still ran. */
export function updateTable(table: FdTable, { added, removed }: StateMessage, fds: readonly number[]): void {
  if (added.length !== fds.length) throw lacking();
  for (const { name, id } of removed) {
    const fd = table.findFd(name, id);
    table.deleteFd(name, id);
    if (fd !== undefined) close(fd);
  }
  added.forEach(({ name, id }, i) => void table.saveFd(name, id, fds[i] as number));
}

/** The fd of the state, which comes by a connection of its own. */
export function receiveMain(listener: TransferListener, goOn: () => void): number {
  const connection = listener.accept(goOn);
  try {
    for (;;) {
      const received = receiveTransfer(connection);
      if (received === "end") throw new CprError("transfer", "the main channel ended before the state came");
      const [fd] = received?.fds ?? [];
      if (fd !== undefined) return fd;
      goOn();
      poll(connection, POLLIN, LOOK_EVERY_MS);
    }
  } finally {
    close(connection);
  }
}
