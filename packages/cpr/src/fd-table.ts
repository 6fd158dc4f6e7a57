/**
 * The table of file descriptors that a live update carries over, by name and id, as QEMU's CPR state has it.
 *
 * Whoever creates an fd that must survive saves it here; a new process that finds it here uses it in place of creating
 * its own. The table never closes an fd: each belongs to the one who saved it.
 */
import { O_CLOEXEC, open } from "@vmm/libc";
import { CprError } from "./cpr-error.ts";

export interface FdEntry {
  /** The owner's name, such as a memory backend's id. At most 255 bytes. */
  readonly name: string;
  /** Tells apart several fds of one name, such as a device's vectors. */
  readonly id: number;
  readonly fd: number;
}

/** The longest name in bytes of UTF-8. */
export const MAX_FD_NAME = 255;
/** The most entries of a table. */
export const MAX_FDS = 4096;

const key = (name: string, id: number) => `${id}:${name}`;

export class FdTable {
  #entries = new Map<string, FdEntry>();

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Saves an fd under a name.
   *
   * @param id A whole number from 0 to 2^31 - 1.
   * @throws CprError `fd-name` where name, id or fd are unfit or the name is taken, `fd-limit` where the table is full.
   */
  saveFd(name: string, id: number, fd: number): void {
    if (this.#entries.has(key(name, id))) {
      throw new CprError("fd-name", `fd "${name}" (id ${id}) is saved already: delete or resave it`);
    }
    this.#put(name, id, fd);
  }

  /** The fd that was saved under the name, if one was. */
  findFd(name: string, id = 0): number | undefined {
    return this.#entries.get(key(name, id))?.fd;
  }

  /** Forgets an fd, without closing it. Forgetting what is not there does nothing. */
  deleteFd(name: string, id = 0): void {
    this.#entries.delete(key(name, id));
  }

  /** Saves an fd under a name that may be taken. What was there before is forgotten, not closed. */
  resaveFd(name: string, id: number, fd: number): void {
    this.#entries.delete(key(name, id));
    this.#put(name, id, fd);
  }

  /**
   * The fd that was saved under the name; where there is none, `path` is opened and its fd saved.
   *
   * @param flags O_* flags; O_CLOEXEC is added.
   */
  openFd(path: string, flags: number, name: string, id = 0): number {
    const found = this.findFd(name, id);
    if (found !== undefined) return found;
    const fd = open(path, flags | O_CLOEXEC);
    this.saveFd(name, id, fd);
    return fd;
  }

  /** Visits all entries in the order in which they were saved. The visitor may delete the entry it is given. */
  cprWalkFd(visit: (entry: FdEntry) => void): void {
    for (const entry of [...this.#entries.values()]) visit(entry);
  }

  entries(): FdEntry[] {
    return [...this.#entries.values()];
  }

  #put(name: string, id: number, fd: number): void {
    const bytes = Buffer.byteLength(name);
    if (bytes === 0 || bytes > MAX_FD_NAME) {
      throw new CprError(
        "fd-name",
        `the name of a preserved fd has ${bytes} bytes: it must have 1 to ${MAX_FD_NAME}`,
      );
    }
    if (!Number.isInteger(id) || id < 0 || id > 0x7fffffff) {
      throw new CprError("fd-name", `fd "${name}": id ${id} is not a whole number from 0 to 2147483647`);
    }
    if (!Number.isInteger(fd) || fd < 0) throw new CprError("fd-name", `fd "${name}": ${fd} is not an fd`);
    if (this.#entries.size >= MAX_FDS) {
      throw new CprError(
        "fd-limit",
        `fd "${name}" cannot be preserved: ${MAX_FDS} are already, which is the limit`,
      );
    }
    this.#entries.set(key(name, id), { name, id, fd });
  }
}
