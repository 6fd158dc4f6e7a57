/**
 * Guest RAM as host code sees it: by guest-physical address, over whatever memory backends and slots lie behind it.
 *
 * Backends may be larger than an ArrayBuffer can be (4 GiB), so views are made for the range that is asked for, not for a
 * whole slot. The addresses are the process's own, so each thread builds its own GuestMemory from the same slots.
 */
import { memoryView } from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";

/** A range of guest-physical addresses with memory behind it: what KVM calls a memory slot. */
export interface MemorySlot {
  readonly slot: number;
  /** The memory backend's id, such as `ram0` or `pc.rom`. */
  readonly backend: string;
  /** First guest-physical address, page-aligned. */
  readonly gpa: number;
  /** Size in bytes, page-aligned. */
  readonly size: number;
  /** First address in this process. */
  readonly address: number;
  /** Bytes from the start of the backend. */
  readonly offset: number;
}

/** Views are cut from windows of this size (bytes), so that making one costs no system call and little garbage. */
const WINDOW = 1 << 30;

export class GuestMemory {
  readonly slots: readonly MemorySlot[];
  #windows = new Map<number, ArrayBuffer>();

  constructor(slots: readonly MemorySlot[]) {
    this.slots = [...slots].sort((a, b) => a.gpa - b.gpa);
  }

  /** The slot that holds all of `gpa .. gpa + length`, if one does. */
  find(gpa: number, length = 1): MemorySlot | undefined {
    return this.slots.find((s) => gpa >= s.gpa && gpa + length <= s.gpa + s.size);
  }

  /**
   * The bytes at `gpa`, in place. The guest may change them at any time: read what counts once, or with Atomics.
   *
   * @throws VmmError `memory-backend` where the range is not RAM or leaves its slot.
   */
  view(gpa: number, length: number): Uint8Array {
    const slot = this.find(gpa, length);
    if (!slot || length > WINDOW) {
      throw new VmmError(
        "memory-backend",
        `guest addresses 0x${gpa.toString(16)}+0x${length.toString(16)} are not RAM`,
      );
    }
    const inSlot = gpa - slot.gpa;
    const index = Math.floor(inSlot / WINDOW);
    const inWindow = inSlot - index * WINDOW;
    if (inWindow + length > WINDOW) return new Uint8Array(memoryView(slot.address + inSlot, length));
    return new Uint8Array(this.#window(slot, index), inWindow, length);
  }

  /** A DataView at `gpa`, in place. */
  dataView(gpa: number, length: number): DataView {
    const bytes = this.view(gpa, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  /** Copies bytes into guest RAM. */
  write(gpa: number, bytes: Uint8Array): void {
    this.view(gpa, bytes.length).set(bytes);
  }

  #window(slot: MemorySlot, index: number): ArrayBuffer {
    const key = slot.address + index * WINDOW;
    let window = this.#windows.get(key);
    if (!window) {
      window = memoryView(key, Math.min(WINDOW, slot.size - index * WINDOW));
      this.#windows.set(key, window);
    }
    return window;
  }
}
