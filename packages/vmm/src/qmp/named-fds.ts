import { close } from "@vmm/libc";
import { QmpError } from "./qmp-error.ts";

/** The most fds that clients can leave with the VMM. */
const MAX_NAMED_FDS = 64;

/** The fds that clients handed over by `getfd`. They stay until `closefd`, `take`, or the end of the process's program. */
export class NamedFds {
  #fds = new Map<string, number>();

  get size(): number {
    return this.#fds.size;
  }

  /** Keeps an fd; one that had the name is closed. @throws QmpError where there are too many; the fd is not taken then. */
  put(name: string, fd: number): void {
    const old = this.#fds.get(name);
    if (old === undefined && this.#fds.size >= MAX_NAMED_FDS) {
      throw new QmpError(`There are ${MAX_NAMED_FDS} file descriptors already: close one with closefd`);
    }
    if (old !== undefined) close(old);
    this.#fds.set(name, fd);
  }

  /** Gives an fd away: it is the caller's to close. @throws QmpError where there is none of the name. */
  take(name: string): number {
    const fd = this.#fds.get(name);
    if (fd === undefined) throw new QmpError(`File descriptor named '${name}' not found`);
    this.#fds.delete(name);
    return fd;
  }

  closeAll(): void {
    for (const fd of this.#fds.values()) close(fd);
    this.#fds.clear();
  }
}
