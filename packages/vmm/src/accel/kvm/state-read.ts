/**
 * Reading state from the kernel as a list of requests, so that who makes them is another matter: KVM answers only a process
 * that shares the VM's address space, which after an exec is not us but an agent; see `agent/`.
 */
import { addressOf, type IoctlRequest, SYS, SyscallError, SyscallList } from "@vmm/libc";

export interface StateRead {
  readonly request: IoctlRequest;
  /** In: what the request wants to be told. Out: what it gave. A whole buffer, so that it does not move. */
  readonly buffer: Uint8Array;
  /** Where the buffer holds a pointer into itself: at `field` stands the address of `target` (bytes from its start). */
  readonly pointer?: { readonly field: number; readonly target: number };
}

/** Requests on the fd of a vCPU or a VM. */
export interface ReadsOn {
  readonly fd: number;
  readonly reads: readonly StateRead[];
}

/** A request with the fd that it is made on. */
export interface ReadOn {
  readonly fd: number;
  readonly read: StateRead;
}

export const readsOf = (groups: readonly ReadsOn[]): ReadOn[] =>
  groups.flatMap(({ fd, reads }) => reads.map((read) => ({ fd, read })));

/**
 * Throws for the first request that failed: it is the last that was made.
 *
 * @param resultOf What a request gave, a negative errno where it failed or was not made.
 * @param where Whose fds they are.
 */
export function throwFailed(all: readonly ReadOn[], resultOf: (i: number) => number, where = "fd"): void {
  all.forEach(({ fd, read }, i) => {
    const result = resultOf(i);
    if (result < 0) throw new SyscallError("ioctl", -result, `${read.request.name} on ${where} ${fd}`);
  });
}

/** Makes requests in this process, in order. @throws SyscallError */
export const readHere = (...groups: readonly ReadsOn[]): void => readsHere(...groups)();

/**
 * Prepares requests to be made in this process, in order.
 *
 * @returns What makes them. It throws a SyscallError.
 */
export function readsHere(...groups: readonly ReadsOn[]): () => void {
  const all = readsOf(groups);
  const calls = new SyscallList(
    all.map(({ fd, read: { request, buffer, pointer } }) => {
      if (pointer) setPointer(buffer, pointer.field, addressOf(buffer) + pointer.target);
      return { number: SYS.ioctl, args: [fd, request.number, buffer] };
    }),
  );
  return () => {
    if (!calls.make()) throwFailed(all, (i) => calls.result(i));
  };
}

/** A request that loads what a read gave. */
export interface StateWrite {
  readonly request: IoctlRequest;
  readonly read: StateRead;
  /** What the request returns where KVM took all of it. */
  readonly taken: number;
}

/**
 * Prepares the requests, in order, on the fd of another vCPU, from the very buffers that will have been read: nothing is copied.
 *
 * @param bufferOf Where a read leaves what it gives, in this process.
 * @returns What makes them, and tells whether KVM took all of each.
 */
export function writesHere(
  fd: number,
  writes: readonly StateWrite[],
  bufferOf: (read: StateRead) => Uint8Array,
): () => boolean {
  const calls = new SyscallList(
    writes.map(({ request, read }) => ({
      number: SYS.ioctl,
      args: [fd, request.number, argumentOf(bufferOf(read), read)],
    })),
  );
  return () => calls.make() && writes.every(({ taken }, i) => calls.result(i) === taken);
}

/** The buffer, or where it holds a pointer into itself, what it begins with, with the pointer as it is in this process. */
function argumentOf(buffer: Uint8Array, { pointer }: StateRead): Uint8Array {
  if (!pointer) return buffer;
  const head = buffer.slice(0, pointer.target);
  setPointer(head, pointer.field, addressOf(buffer) + pointer.target);
  return head;
}

export function setPointer(buffer: Uint8Array, field: number, address: number): void {
  new DataView(buffer.buffer, buffer.byteOffset).setBigUint64(field, BigInt(address), true);
}
