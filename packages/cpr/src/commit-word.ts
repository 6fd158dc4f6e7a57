/**
 * The commit word: one word of shared memory that says who runs the guest. Whoever wants to run it must first win the
 * word by compare-and-swap, so that never both do, whatever else goes wrong.
 *
 * It begins as `stopped`. The new process takes it right before its first KVM_RUN; the side that has the old state (the
 * process that could not exec, the source of a transfer, the keeper) takes it before it lets the guest go on.
 */
import {
  addSeals,
  close,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  ftruncate,
  MAP_SHARED,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  memfdCreate,
  memoryView,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
} from "@vmm/libc";
import { faultPoint } from "./fault.ts";

const PAGE = 4096;

const STOPPED = 0;
const TAKEN_BY_NEW = 1;
const TAKEN_BACK = 2;

/** Who runs the guest: nobody yet, the new process, or the side that had it. */
export type Ownership = "stopped" | "taken-by-new" | "taken-back";

const NAMES: Readonly<Record<number, Ownership>> = {
  [STOPPED]: "stopped",
  [TAKEN_BY_NEW]: "taken-by-new",
  [TAKEN_BACK]: "taken-back",
};

export class CommitWord {
  /** The memfd with the page. */
  readonly fd: number;
  readonly #address: number;
  #word: Int32Array | undefined;

  private constructor(fd: number) {
    this.fd = fd;
    this.#address = mmap({ length: PAGE, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
    this.#word = new Int32Array(memoryView(this.#address, PAGE));
  }

  /** A new word, `stopped`, in a memfd of a fixed size with FD_CLOEXEC. */
  static create(): CommitWord {
    faultPoint("memfd");
    const fd = memfdCreate("vmm-commit-word", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    try {
      ftruncate(fd, PAGE);
      // A page that somebody cuts off would be a SIGBUS for everybody else.
      addSeals(fd, F_SEAL_SHRINK | F_SEAL_GROW);
      return new CommitWord(fd);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /** The word in a memfd that another process made. */
  static open(fd: number): CommitWord {
    return new CommitWord(fd);
  }

  get owner(): Ownership {
    return NAMES[Atomics.load(this.#get(), 0)] ?? "stopped";
  }

  /** Tries to become the one who runs the guest. True for exactly one caller, once. */
  take(as: "taken-by-new" | "taken-back"): boolean {
    const value = as === "taken-by-new" ? TAKEN_BY_NEW : TAKEN_BACK;
    return Atomics.compareExchange(this.#get(), 0, STOPPED, value) === STOPPED;
  }

  /** Unmaps the page and closes the fd. */
  close(): void {
    if (!this.#word) return;
    this.#word = undefined;
    munmap(this.#address, PAGE);
    close(this.fd);
  }

  #get(): Int32Array {
    if (!this.#word) throw new Error("this commit word is closed");
    return this.#word;
  }
}
