/**
 * A file that a state is written to. A file of its own appears under its name whole or not at all, in place of one that was
 * there; with an offset, the bytes go into the file as it is.
 */
import {
  close,
  fsync,
  getpid,
  isSyscallError,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  open,
  pwriteAll,
  rename,
  unlink,
} from "@vmm/libc";
import { CprError, reasonOf } from "./cpr-error.ts";
import { folderOf, type StateTarget, stateTarget } from "./state-target.ts";

/** A state that has its name, and the name that the file has which was there before, where that was kept. */
export interface WrittenFile {
  readonly path: string;
  readonly aside?: string;
  /** With an offset: the file was not there before. */
  readonly created?: boolean;
}

/** Opens a file of which a part is to be written. Returns whether it was not there before. */
function openPart(path: string): { fd: number; created: boolean } {
  try {
    return { fd: open(path, O_RDWR | O_CLOEXEC), created: false };
  } catch (error) {
    if (!isSyscallError(error, "ENOENT")) throw error;
    return { fd: open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600), created: true };
  }
}

function moveAside(path: string): string {
  const aside = `${path}.${getpid()}.old`;
  rename(path, aside);
  return aside;
}

export class StateFile {
  readonly path: string;
  /** Of a file of its own. */
  readonly #target: StateTarget | undefined;
  /** Where the file lies until it is whole. */
  readonly #temporary: string | undefined;
  #fd: number | undefined;
  #created = false;
  #at: number;

  /**
   * @param offset In bytes from the start of the file.
   * @throws CprError `save`
   */
  constructor(path: string, offset: number) {
    this.path = path;
    this.#at = offset;
    this.#target = offset === 0 ? stateTarget(path) : undefined;
    this.#temporary = this.#target && `${this.#target.path}.${getpid()}.tmp`;
    this.#do(() => {
      if (this.#temporary) this.#fd = open(this.#temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
      else ({ fd: this.#fd, created: this.#created } = openPart(path));
    });
  }

  /** Bytes go behind those that were written before. @throws CprError `save`, such as for a full disk. */
  append(bytes: Uint8Array): void {
    this.#do(() => pwriteAll(this.#fd as number, bytes, this.#at));
    this.#at += bytes.length;
  }

  /**
   * The file is whole.
   *
   * @param durable Whether it must outlive the host: costs the time that the disk takes.
   * @param replaced What becomes of a file that had the name: it is lost, or keeps another name.
   * @returns The file as others find it.
   * @throws CprError `save`
   */
  finish(durable: boolean, replaced: "lose" | "keep" = "lose"): WrittenFile {
    const fd = this.#fd as number;
    const path = this.#target?.path ?? this.path;
    let aside: string | undefined;
    this.#do(() => {
      if (durable) fsync(fd);
      if (!this.#temporary) return;
      if (replaced === "keep" && this.#target?.exists) aside = moveAside(path);
      try {
        rename(this.#temporary, path);
      } catch (error) {
        if (aside !== undefined) rename(aside, path);
        throw error;
      }
      if (durable) syncFolder(path);
    });
    this.#fd = undefined;
    close(fd);
    return { path, ...(aside !== undefined && { aside }), ...(this.#created && { created: true }) };
  }

  /** Removes what was written, where it is a file that was not there before. Doing so twice, or after `finish`, does nothing. */
  abandon(): void {
    if (this.#fd === undefined) return;
    close(this.#fd);
    this.#fd = undefined;
    if (this.#temporary) unlink(this.#temporary);
    else if (this.#created) unlink(this.path);
  }

  #do(step: () => void): void {
    try {
      step();
    } catch (cause) {
      this.abandon();
      throw new CprError("save", `cannot save the state to ${this.path}: ${reasonOf(cause)}`, { cause });
    }
  }
}

function syncFolder(path: string): void {
  const fd = open(folderOf(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  try {
    fsync(fd);
  } finally {
    close(fd);
  }
}
