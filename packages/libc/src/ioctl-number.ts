/**
 * ioctl request numbers, as `asm-generic/ioctl.h` encodes them: direction in bits 30-31, the size of the argument in
 * bits 16-29, the driver's type in bits 8-15, the number of the request in bits 0-7.
 */
import type { Fields, Layout } from "./layout.ts";

/** An ioctl request: the number for the kernel and the name for error messages. */
export interface IoctlRequest {
  readonly name: string;
  readonly number: number;
}

const WRITE = 1;
const READ = 2;

// biome-ignore lint/suspicious/noExplicitAny: any layout will do, only its size counts
type Argument = Layout<any> | Layout<Fields> | { readonly size: number };

function encode(name: string, direction: number, type: number, nr: number, size: number): IoctlRequest {
  if (size >= 1 << 14)
    throw new RangeError(`${name}: an argument of ${size} bytes does not fit in a request`);
  return { name, number: ((direction << 30) | (size << 16) | (type << 8) | nr) >>> 0 };
}

/** A request without an argument, or with a plain number as its argument. */
export const _IO = (name: string, type: number, nr: number): IoctlRequest => encode(name, 0, type, nr, 0);

/** A request that the kernel answers by writing the structure. */
export const _IOR = (name: string, type: number, nr: number, argument: Argument): IoctlRequest =>
  encode(name, READ, type, nr, argument.size);

/** A request that hands the structure to the kernel. */
export const _IOW = (name: string, type: number, nr: number, argument: Argument): IoctlRequest =>
  encode(name, WRITE, type, nr, argument.size);

/** A request that hands the structure to the kernel and gets it back changed. */
export const _IOWR = (name: string, type: number, nr: number, argument: Argument): IoctlRequest =>
  encode(name, READ | WRITE, type, nr, argument.size);
