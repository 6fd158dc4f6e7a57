/** Memfds that hold a message for another process: written once, then sealed against every change. */
import {
  addSeals,
  close,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  fstat,
  getSeals,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  memfdCreate,
  preadAll,
  pwriteAll,
} from "@vmm/libc";
import { CprError } from "./cpr-error.ts";
import { faultPoint } from "./fault.ts";

const SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

/** A sealed memfd with these bytes and FD_CLOEXEC. Nothing is left where that fails. */
export function sealedMemfd(name: string, bytes: Uint8Array): number {
  faultPoint("memfd");
  const fd = memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  try {
    pwriteAll(fd, bytes, 0);
    faultPoint("seal");
    addSeals(fd, SEALS);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/**
 * All bytes of a sealed memfd.
 *
 * @param what What it is to be, for messages, such as `CPR state`.
 * @param limit The most bytes it may have.
 * @throws CprError `state-magic` where the fd is not a sealed memfd, `state-invalid` above the limit.
 */
export function readSealedMemfd(fd: number, what: string, limit: number): Uint8Array<ArrayBuffer> {
  let size: number;
  try {
    size = fstat(fd).size;
    if ((getSeals(fd) & SEALS) !== SEALS) throw new Error("it can still be changed");
  } catch (cause) {
    throw new CprError("state-magic", `fd ${fd} is not a ${what}: it is not a sealed memfd`, { cause });
  }
  if (size > limit)
    throw new CprError("state-invalid", `the ${what} in fd ${fd} has ${size} bytes: too many`);
  const bytes = new Uint8Array(new ArrayBuffer(size));
  preadAll(fd, bytes, 0);
  return bytes;
}
