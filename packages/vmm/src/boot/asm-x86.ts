/**
 * A small assembler for the built-in guest: just the instructions it uses, labels, and branches that find their own
 * size. Encodings are those of the Intel SDM, volume 2. Operands are 32 bits wide unless the register says otherwise.
 *
 * @example A loop
 * ```ts
 * const a = new Assembler(0x8000);
 * a.label("again");
 * a.inc(ebx);
 * a.jump("again");
 * a.assemble(); // 43 eb fd
 * ```
 */

import { type Address, CodeBuffer } from "./code-buffer.ts";

/** A general register: its number in an encoding and its width. */
export interface Register {
  readonly code: number;
  readonly bits: 8 | 16 | 32;
}

const register = (code: number, bits: 8 | 16 | 32): Register => ({ code, bits });

export const eax = register(0, 32);
export const ecx = register(1, 32);
export const edx = register(2, 32);
export const ebx = register(3, 32);
export const esp = register(4, 32);
export const ebp = register(5, 32);
export const esi = register(6, 32);
export const edi = register(7, 32);
export const ax = register(0, 16);
export const al = register(0, 8);

/** A memory operand: an absolute address, or a register and what is added to it. */
export interface Memory {
  readonly base: Register | undefined;
  readonly offset: Address;
}

/** The memory at an address. */
export const at = (offset: Address): Memory => ({ base: undefined, offset });

/** The memory at a register plus an offset. */
export const by = (base: Register, offset: Address = 0): Memory => ({ base, offset });

type Operand = Register | Memory;
const isRegister = (operand: Operand): operand is Register => "code" in operand;

/** Conditions of a branch, by the low four bits of its opcode. */
const CONDITIONS = { below: 2, equal: 4, notEqual: 5, above: 7 } as const;
export type Condition = keyof typeof CONDITIONS;

/** The eight operations that share an encoding, by its number. */
const ALU = { add: 0, or: 1, and: 4, xor: 6, cmp: 7 } as const;

export class Assembler extends CodeBuffer {
  /** Width of the code's default addresses and operands: 16 in real mode. Bears on `lgdt` and `farJump`. */
  mode: 16 | 32 = 32;

  // Moves.

  mov(to: Operand, from: Operand | Address): void {
    if (typeof from !== "object") this.#moveImmediate(to, from);
    else if (isRegister(to)) this.#wide(to, 0x8a, to.code, from);
    else if (isRegister(from)) this.#wide(from, 0x88, from.code, to);
    else throw new RangeError("mov from memory to memory");
  }

  #moveImmediate(to: Operand, value: Address): void {
    if (!isRegister(to)) {
      this.byte(0xc7);
      this.#modrm(0, to);
      this.dword(value);
    } else if (to.bits === 8) {
      this.byte(0xb0 + to.code, Number(value));
    } else {
      this.byte(0xb8 + to.code);
      this.dword(value);
    }
  }

  push(from: Register | number): void {
    if (typeof from === "number") this.byte(0x6a, from);
    else this.byte(0x50 + from.code);
  }

  pop(to: Register): void {
    this.byte(0x58 + to.code);
  }

  popf(): void {
    this.byte(0x9d);
  }

  /** Loads all data segments and the stack's from ax. */
  loadDataSegments(): void {
    for (const segment of [0, 2, 3, 4, 5]) this.byte(0x8e, 0xc0 | (segment << 3)); // es, ss, ds, fs, gs
  }

  /** Loads al from esi and moves on. */
  lodsb(): void {
    this.byte(0xac);
  }

  // Arithmetic.

  add = (to: Operand, from: Operand | number): void => this.#alu(ALU.add, to, from);
  or = (to: Operand, from: Operand | number): void => this.#alu(ALU.or, to, from);
  and = (to: Operand, from: Operand | number): void => this.#alu(ALU.and, to, from);
  xor = (to: Operand, from: Operand | number): void => this.#alu(ALU.xor, to, from);
  cmp = (to: Operand, from: Operand | number): void => this.#alu(ALU.cmp, to, from);

  #alu(operation: number, to: Operand, from: Operand | number): void {
    if (typeof from === "number") this.#aluImmediate(operation, to, from);
    else if (isRegister(to)) this.#wide(to, operation * 8 + 2, to.code, from);
    else if (isRegister(from)) this.#wide(from, operation * 8, from.code, to);
    else throw new RangeError("arithmetic on two memory operands");
  }

  #aluImmediate(operation: number, to: Operand, value: number): void {
    const isByte = isRegister(to) && to.bits === 8;
    const fitsByte = value >= -128 && value <= 127;
    this.byte(isByte ? 0x80 : fitsByte ? 0x83 : 0x81);
    this.#modrm(operation, to);
    if (isByte || fitsByte) this.byte(value);
    else this.dword(value);
  }

  inc(operand: Operand): void {
    this.#step(0, operand);
  }

  dec(operand: Operand): void {
    this.#step(1, operand);
  }

  #step(operation: 0 | 1, operand: Operand): void {
    if (isRegister(operand)) {
      this.byte(0x40 + operation * 8 + operand.code);
    } else {
      this.byte(0xff);
      this.#modrm(operation, operand);
    }
  }

  /** Adds one with the bus locked, for words that several vCPUs count in. */
  lockInc(operand: Memory): void {
    this.byte(0xf0);
    this.inc(operand);
  }

  rol = (operand: Register, count: number): void => this.#shift(0, operand, count);
  shl = (operand: Register, count: number): void => this.#shift(4, operand, count);
  shr = (operand: Register, count: number): void => this.#shift(5, operand, count);

  #shift(operation: number, operand: Register, count: number): void {
    this.byte(0xc1);
    this.#modrm(operation, operand);
    this.byte(count);
  }

  /** Multiplies by a constant; only the low half of the product is kept. */
  imul(operand: Register, factor: number): void {
    this.byte(0x69);
    this.#modrm(operand.code, operand);
    this.dword(factor);
  }

  /** Divides edx:eax: the quotient goes to eax, the rest to edx. */
  div(divisor: Register): void {
    this.byte(0xf7);
    this.#modrm(6, divisor);
  }

  /** Sets the flags from al or ax and a mask. */
  test(operand: Register, mask: number): void {
    if (operand.code !== 0) throw new RangeError("test takes al or eax");
    this.byte(operand.bits === 8 ? 0xa8 : 0xa9);
    if (operand.bits === 8) this.byte(mask);
    else this.dword(mask);
  }

  // Branches.

  jump(to: string): void {
    this.branch(to, 0xeb, [0xe9]);
  }

  jumpIf(condition: Condition, to: string): void {
    const code = CONDITIONS[condition];
    this.branch(to, 0x70 + code, [0x0f, 0x80 + code]);
  }

  call(to: string): void {
    this.branch(to, undefined, [0xe8]);
  }

  ret(): void {
    this.byte(0xc3);
  }

  /** Jumps to the address in a register. */
  jumpTo(target: Register): void {
    this.byte(0xff);
    this.#modrm(4, target);
  }

  /** Jumps to a 32-bit code segment, from real mode too. */
  farJump(selector: number, to: string): void {
    if (this.mode === 16) this.byte(0x66);
    this.byte(0xea);
    this.dword(to);
    this.word(selector);
  }

  // Ports.

  /** Reads al or ax from the port in dx. */
  in(to: Register): void {
    if (to.bits === 16) this.byte(0x66);
    this.byte(to.bits === 8 ? 0xec : 0xed);
  }

  /** Writes al or ax to the port in dx. */
  out(from: Register): void {
    if (from.bits === 16) this.byte(0x66);
    this.byte(from.bits === 8 ? 0xee : 0xef);
  }

  /** Writes a constant byte to a port. Changes al, and edx where the port is above 255. */
  outByte(port: number, value: number): void {
    this.mov(al, value);
    if (port < 0x100) {
      this.byte(0xe6, port);
    } else {
      this.mov(edx, port);
      this.out(al);
    }
  }

  // The processor's own state.

  cli = (): void => this.byte(0xfa);
  sti = (): void => this.byte(0xfb);
  cld = (): void => this.byte(0xfc);
  hlt = (): void => this.byte(0xf4);
  ud2 = (): void => this.byte(0x0f, 0x0b);
  rdtsc = (): void => this.byte(0x0f, 0x31);

  lgdt(pointer: string): void {
    this.#loadTable(2, pointer);
  }

  lidt(pointer: string): void {
    this.#loadTable(3, pointer);
  }

  #loadTable(operation: number, pointer: string): void {
    // In real mode 0x66 loads all 32 bits of the base, and the address of the pointer has only 16.
    if (this.mode === 16) this.byte(0x66, 0x0f, 0x01, (operation << 3) | 6);
    else this.byte(0x0f, 0x01, (operation << 3) | 5);
    if (this.mode === 16) this.word(pointer);
    else this.dword(pointer);
  }

  /** Loads eax from a control register. */
  readControl(number: 0 | 4): void {
    this.byte(0x0f, 0x20, 0xc0 | (number << 3));
  }

  /** Loads a control register from eax. */
  writeControl(number: 0 | 4): void {
    this.byte(0x0f, 0x22, 0xc0 | (number << 3));
  }

  // Floating point.

  fninit = (): void => this.byte(0xdb, 0xe3);

  /** movups: 16 bytes, wherever they lie. */
  loadXmm0(from: Memory): void {
    this.byte(0x0f, 0x10);
    this.#modrm(0, from);
  }

  storeXmm0(to: Memory): void {
    this.byte(0x0f, 0x11);
    this.#modrm(0, to);
  }

  /** movq: 8 bytes to the first MMX register, which is the first of the x87 registers. */
  loadMm0(from: Memory): void {
    this.byte(0x0f, 0x6f);
    this.#modrm(0, from);
  }

  storeMm0(to: Memory): void {
    this.byte(0x0f, 0x7f);
    this.#modrm(0, to);
  }

  // Encoding.

  /** An opcode whose lowest bit is clear for bytes and set for wider operands. */
  #wide(width: Register, opcode: number, field: number, operand: Operand): void {
    if (width.bits === 16) this.byte(0x66);
    this.byte(width.bits === 8 ? opcode : opcode + 1);
    this.#modrm(field, operand);
  }

  /** The byte that names a register and a register or memory operand, and the address that follows it. */
  #modrm(field: number, operand: Operand): void {
    if (isRegister(operand)) {
      this.byte(0xc0 | (field << 3) | operand.code);
    } else if (!operand.base) {
      this.byte((field << 3) | 5);
      this.dword(operand.offset);
    } else if (operand.base.code === esp.code) {
      throw new RangeError("an address by esp needs a SIB byte, which nothing here does");
    } else {
      this.byte(0x80 | (field << 3) | operand.base.code);
      this.dword(operand.offset);
    }
  }
}
