/**
 * Reading state from the kernel as a list of requests, so that who makes them is another matter: KVM answers only a process
 * that shares the VM's address space, which after an exec is not us but an agent; see `agent/`.
 */
import { addressOf, type IoctlRequest, ioctl, ioctlRaw } from "@vmm/libc";

export interface StateRead {
  readonly request: IoctlRequest;
  /** In: what the request wants to be told. Out: what it gave. A whole buffer, so that it does not move. */
  readonly buffer: Uint8Array;
  /** Where the buffer holds a pointer into itself: at `field` stands the address of `target` (bytes from its start). */
  readonly pointer?: { readonly field: number; readonly target: number };
}

/** Makes the requests in order, on the fd of a vCPU or a VM. @throws SyscallError */
export type ReadState = (fd: number, reads: readonly StateRead[]) => void;

/** Makes the requests in this process. */
export const readHere: ReadState = (fd, reads) => {
  for (const { request, buffer, pointer } of reads) {
    if (pointer) setPointer(buffer, pointer.field, addressOf(buffer) + pointer.target);
    ioctl(fd, request, buffer);
  }
};

/** A request that loads what a read gave. */
export interface StateWrite {
  readonly request: IoctlRequest;
  readonly read: StateRead;
  /** What the request returns where KVM took all of it. */
  readonly taken: number;
}

/**
 * Makes the requests in order, on the fd of another vCPU, from the very buffers that were read: nothing is copied.
 *
 * @param bufferOf Where a read has left what it gave, in this process.
 * @returns False where KVM did not take all of one; the rest was not tried.
 */
export function writeHere(
  fd: number,
  writes: readonly StateWrite[],
  bufferOf: (read: StateRead) => Uint8Array,
): boolean {
  for (const { request, read, taken } of writes) {
    const buffer = bufferOf(read);
    const address = addressOf(buffer);
    if (read.pointer) setPointer(buffer, read.pointer.field, address + read.pointer.target);
    if (ioctlRaw(fd, request.number, address) !== taken) return false;
  }
  return true;
}

export function setPointer(buffer: Uint8Array, field: number, address: number): void {
  new DataView(buffer.buffer, buffer.byteOffset).setBigUint64(field, BigInt(address), true);
}
