/**
 * Machine code on its way to bytes: constants, labels, addresses that are filled in once labels have theirs, and relative
 * branches, which are short until their target turns out to be too far. Knows nothing of instructions.
 */

/** An address or the label that stands for one. */
export type Address = number | string;

/** Where an address goes, in so many bytes. */
interface Reference {
  readonly kind: "reference";
  readonly to: string;
  readonly size: 2 | 4;
}

interface Branch {
  readonly kind: "branch";
  readonly to: string;
  /** The opcode with an 8-bit distance, where the instruction has one. */
  readonly short: number | undefined;
  /** The opcode with a 32-bit distance. */
  readonly long: readonly number[];
  isLong: boolean;
}

type Item =
  | Reference
  | Branch
  | { readonly kind: "bytes"; readonly bytes: number[] }
  | { readonly kind: "label"; readonly name: string }
  | { readonly kind: "align"; readonly boundary: number };

export class CodeBuffer {
  /** The address at which the first byte will be. */
  readonly origin: number;
  #items: Item[] = [];
  /** The bytes at the end, while nothing else has followed them. */
  #run: number[] | undefined;
  /** Every label's address once laid out; 0 before. */
  #labels = new Map<string, number>();
  #isLaidOut = false;

  constructor(origin: number) {
    this.origin = origin;
  }

  #push(item: Item): void {
    this.#items.push(item);
    this.#run = item.kind === "bytes" ? item.bytes : undefined;
    this.#isLaidOut = false;
  }

  label(name: string): void {
    if (this.#labels.has(name)) throw new RangeError(`label ${name} is there twice`);
    this.#labels.set(name, 0);
    this.#push({ kind: "label", name });
  }

  /** Zeroes up to the next multiple of `boundary` from the origin. */
  align(boundary: number): void {
    this.#push({ kind: "align", boundary });
  }

  byte(...values: number[]): void {
    if (!this.#run) this.#push({ kind: "bytes", bytes: [] });
    for (const value of values) this.#run?.push(value & 0xff);
    this.#isLaidOut = false;
  }

  word(value: Address): void {
    if (typeof value === "number") this.byte(value, value >> 8);
    else this.#push({ kind: "reference", to: value, size: 2 });
  }

  dword(value: Address): void {
    if (typeof value === "number") this.byte(value, value >> 8, value >> 16, value >> 24);
    else this.#push({ kind: "reference", to: value, size: 4 });
  }

  /** A string and the zero that ends it. */
  text(value: string): void {
    this.byte(...new TextEncoder().encode(value), 0);
  }

  /** A relative branch; one without a short form is long from the start. */
  protected branch(to: string, short: number | undefined, long: readonly number[]): void {
    this.#push({ kind: "branch", to, short, long, isLong: short === undefined });
  }

  /** The address of a label, once all is written. */
  addressOf(label: string): number {
    this.#layOut();
    return this.#resolve(label);
  }

  /** The bytes, with every address and distance filled in. */
  assemble(): Uint8Array {
    this.#layOut();
    const out: number[] = [];
    const little = (value: number, size: number) => {
      for (let i = 0; i < size; i++) out.push((value >>> (8 * i)) & 0xff);
    };
    for (const item of this.#items) {
      if (item.kind === "bytes") {
        for (const byte of item.bytes) out.push(byte);
      } else if (item.kind === "align") {
        while (out.length % item.boundary) out.push(0);
      } else if (item.kind === "reference") {
        little(this.#resolve(item.to), item.size);
      } else if (item.kind === "branch") {
        out.push(...(item.isLong ? item.long : [item.short as number]));
        const size = item.isLong ? 4 : 1;
        little(this.#resolve(item.to) - (this.origin + out.length + size), size);
      }
    }
    return Uint8Array.from(out);
  }

  #resolve(label: string): number {
    const address = this.#labels.get(label);
    if (address === undefined) throw new RangeError(`no label ${label}`);
    return address;
  }

  /** Gives every label its address, and lengthens branches that don't reach until all do. */
  #layOut(): void {
    while (!this.#isLaidOut) {
      const branches: Branch[] = [];
      const ends: number[] = [];
      let address = this.origin;
      for (const item of this.#items) {
        address += sizeOf(item, address - this.origin);
        if (item.kind === "label") this.#labels.set(item.name, address);
        if (item.kind !== "branch" || item.isLong) continue;
        branches.push(item);
        ends.push(address);
      }
      this.#isLaidOut = true;
      branches.forEach((branch, i) => {
        const distance = this.#resolve(branch.to) - (ends[i] as number);
        if (distance >= -128 && distance <= 127) return;
        branch.isLong = true;
        this.#isLaidOut = false;
      });
    }
  }
}

/** Bytes that an item takes, so far from the origin. */
function sizeOf(item: Item, offset: number): number {
  switch (item.kind) {
    case "bytes":
      return item.bytes.length;
    case "reference":
      return item.size;
    case "branch":
      return item.isLong ? item.long.length + 4 : 2;
    case "align":
      return (item.boundary - (offset % item.boundary)) % item.boundary;
    case "label":
      return 0;
  }
}
