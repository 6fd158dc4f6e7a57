import { type Pointer, read } from "bun:ffi";
import { libc } from "./libc.ts";
import { E } from "./uapi/errno.ts";

export { E };

/** The name of an error number, such as `ENOENT`. */
export type ErrnoName = keyof typeof E;

let names: Map<number, string> | undefined;

/** The name of an error number; `errno 512` where Linux has no name for it. */
export function errnoName(number: number): string {
  // Built when the first error needs it, not at start-up. Reversed, so that EAGAIN wins over its alias EWOULDBLOCK.
  names ??= new Map(
    Object.entries(E)
      .reverse()
      .map(([name, value]) => [value, name]),
  );
  return names.get(number) ?? `errno ${number}`;
}

/** What libc says about an error number, without a capital: `no such file or directory`. */
export function errnoText(number: number): string {
  const text = libc.strerror(number);
  return text.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}

// The address is the thread's own; each Worker has its own copy of this module.
const location = libc.__errno_location() as Pointer;

/** This thread's errno. Meaningful only straight after a libc call that failed. */
export function errno(): number {
  return read.i32(location, 0);
}
