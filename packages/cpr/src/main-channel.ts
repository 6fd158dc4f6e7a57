/** The main channel of an update on one host: the saved state in a sealed memfd or in a file. */
import { access, close, F_OK, preadAll, readAll, rename, unlink } from "@vmm/libc";
import { CprError, reasonOf } from "./cpr-error.ts";
import { CPR_FD, type MainChannel } from "./cpr-state.ts";
import { faultPoint } from "./fault.ts";
import type { FdTable } from "./fd-table.ts";
import { openStateFile } from "./open-state.ts";
import { readSealedMemfd, sealedMemfd } from "./sealed-memfd.ts";
import { StateFile } from "./state-file.ts";
import type { UndoLog } from "./undo-log.ts";

type FileChannel = Extract<MainChannel, { type: "file" }>;

/** The largest state in bytes. */
const LIMIT = 256 << 20;

/**
 * Writes a state to a file. A whole file appears under its name at once or not at all; with an offset, the bytes are
 * written into the file as it is.
 *
 * @throws CprError `save`, such as for a full disk; nothing is left then.
 */
function writeStateFile({ path, offset }: FileChannel, bytes: Uint8Array): FileChannel {
  const file = new StateFile(path, offset);
  file.append(bytes);
  return { type: "file", offset, ...file.finish(false, "keep") };
}

/** The file as if no state had been written: with what was there before, or not at all. */
export function takeBackStateFile({ path, offset, aside, created }: FileChannel): void {
  if (offset !== 0 && !created) return;
  if (aside === undefined) unlink(path);
  // else it has been taken back before, by a program that failed after that
  else if (access(aside, F_OK)) rename(aside, path);
}

/** Nobody goes back to what was there before the state. */
export function forgetReplacedFile(main: MainChannel): void {
  if (main.type !== "file" || main.aside === undefined) return;
  try {
    unlink(main.aside);
  } catch {
    // it stays, under a name that says what it is: no reason for an update to fail that is done
  }
}

/**
 * Writes the state where a new process on this host will find it, and notes how to take that back.
 *
 * @returns The channel as it is now, with what a file has replaced.
 */
export function writeMain(channel: MainChannel, bytes: Uint8Array, fds: FdTable, undo: UndoLog): MainChannel {
  faultPoint("write-state");
  if (channel.type === "file") {
    const written = writeStateFile(channel, bytes);
    undo.push("write state file", () => takeBackStateFile(written));
    return written;
  }
  const fd = sealedMemfd("vmm-device-state", bytes);
  undo.push("save device state", () => {
    fds.deleteFd(CPR_FD.main);
    close(fd);
  });
  fds.resaveFd(CPR_FD.main, 0, fd);
  return channel;
}

/** The bytes of a saved state in a file. @throws CprError `save` where it cannot be read. */
export function readStateFile(path: string, offset = 0): Uint8Array {
  try {
    const fd = openStateFile(path);
    try {
      if (offset === 0) return readAll(fd, LIMIT);
      // A state inside a larger file: the envelope says how long it is.
      const head = new Uint8Array(new ArrayBuffer(32));
      const got = preadAll(fd, head, offset);
      const length = got < 32 ? got : Number(new DataView(head.buffer).getBigUint64(16, true));
      const bytes = new Uint8Array(new ArrayBuffer(Math.min(length, LIMIT)));
      return bytes.subarray(0, preadAll(fd, bytes, offset));
    } finally {
      close(fd);
    }
  } catch (cause) {
    throw new CprError("save", `cannot read the state in ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/** The bytes that `writeMain` wrote, in the new process. */
export function readMain(channel: MainChannel, fds: FdTable): Uint8Array {
  if (channel.type === "file") return readStateFile(channel.path, channel.offset);
  const fd = fds.findFd(CPR_FD.main);
  if (fd === undefined) throw new CprError("fd-missing", `the CPR state has no fd "${CPR_FD.main}"`);
  return readSealedMemfd(fd, "saved state", LIMIT);
}
