import { addressOf } from "./memory.ts";
import { SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";

/**
 * The string, once it is sure to be one in C too: libc would silently stop at a NUL byte.
 *
 * @throws SyscallError EINVAL where the string contains a NUL byte.
 */
export function cString(call: string, text: string): string {
  if (text.includes("\0")) throw new SyscallError(call, E.EINVAL, JSON.stringify(text));
  return text;
}

/** A NULL-terminated array of C strings, as argv and envp are: pointers and strings in one buffer that does not move. */
export function cStringArray(call: string, strings: readonly string[]): Uint8Array {
  const encoded = strings.map((text) => Buffer.from(`${cString(call, text)}\0`));
  const pointers = 8 * (strings.length + 1);
  const length = encoded.reduce((sum, text) => sum + text.length, pointers);
  const buffer = new ArrayBuffer(length);
  const all = new Uint8Array(buffer);
  const table = new BigUint64Array(buffer, 0, strings.length + 1);
  const base = addressOf(all);
  let offset = pointers;
  encoded.forEach((text, i) => {
    all.set(text, offset);
    table[i] = BigInt(base + offset);
    offset += text.length;
  });
  return all;
}
