/**
 * The state window: memory that source and successor of a transfer share, by which the state goes in the time of one copy.
 * The successor looks out for it, so nobody is to be woken, and neither asks the kernel for anything.
 *
 * Words (u32): 0 is 1 shortly before the guest is stopped, and 2 once it stands still; 1 is the length in bytes of a state
 * that is whole. The state follows at 64.
 */
import {
  addSeals,
  close,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  fstat,
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
import { CprError } from "../cpr-error.ts";
import { faultPoint } from "../fault.ts";

const PAGE = 4096;
/** A state may grow by this much after the window was made, in bytes. */
const SPARE = 256 * 1024;
const MAX_SIZE = 64 << 20;

const MOMENT = 0;
const LENGTH = 1;
const DATA = 64;

/** The guest is about to be stopped; it stands still, and its state is on the way. */
const MOMENTS = { soon: 1, stopped: 2 } as const;

export class StateWindow {
  readonly fd: number;
  readonly #address: number;
  readonly #size: number;
  #words: Int32Array;
  #data: Uint8Array<ArrayBuffer>;
  #copy: Uint8Array | undefined;

  private constructor(fd: number, size: number) {
    this.fd = fd;
    this.#size = size;
    this.#address = mmap({ length: size, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
    const buffer = memoryView(this.#address, size);
    this.#words = new Int32Array(buffer, 0, DATA / 4);
    this.#data = new Uint8Array(buffer, DATA);
    // the pages are there, and mapped, before they are needed
    this.#data.fill(0);
  }

  /** A new window for a state of about that many bytes, in a memfd of a fixed size with FD_CLOEXEC. */
  static create(bytes: number): StateWindow {
    const size = Math.ceil((DATA + bytes + SPARE) / PAGE) * PAGE;
    faultPoint("memfd");
    const fd = memfdCreate("vmm-state-window", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    try {
      ftruncate(fd, size);
      addSeals(fd, F_SEAL_SHRINK | F_SEAL_GROW);
      return new StateWindow(fd, size);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /** The window in a memfd that another process made. @throws CprError `transfer` where its size makes no sense. */
  static open(fd: number): StateWindow {
    const { size } = fstat(fd);
    if (size < PAGE || size > MAX_SIZE || size % PAGE !== 0)
      throw new CprError("transfer", `a state window of ${size} bytes`);
    return new StateWindow(fd, size);
  }

  /** Tells how far the guest's stop has come. */
  announce(moment: keyof typeof MOMENTS): void {
    Atomics.store(this.#words, MOMENT, MOMENTS[moment]);
  }

  isAt(moment: keyof typeof MOMENTS): boolean {
    return Atomics.load(this.#words, MOMENT) === MOMENTS[moment];
  }

  /** Where a state of that many bytes is to be written, which is not to be seen yet. `undefined` where it is too large. */
  room(length: number): Uint8Array<ArrayBuffer> | undefined {
    return length > this.#data.length ? undefined : this.#data.subarray(0, length);
  }

  /** Whether a state was written here. */
  holds(state: Uint8Array): boolean {
    return state.buffer === this.#data.buffer;
  }

  /** Shows the state. */
  publish(length: number): void {
    Atomics.store(this.#words, LENGTH, length);
  }

  get isPublished(): boolean {
    return Atomics.load(this.#words, LENGTH) !== 0;
  }

  /** A copy of the state that was published: what is checked is what is used. It lasts until the next one is taken. */
  take(): Uint8Array {
    const length = Math.min(Atomics.load(this.#words, LENGTH) >>> 0, this.#data.length);
    // memory that is there already: new memory is had page by page
    this.#copy ??= new Uint8Array(this.#data.length).fill(0);
    this.#copy.set(this.#data.subarray(0, length));
    return this.#copy.subarray(0, length);
  }

  /** Unmaps it and closes the fd. */
  close(): void {
    this.#words = new Int32Array(0);
    this.#data = new Uint8Array(0);
    munmap(this.#address, this.#size);
    close(this.fd);
  }
}
