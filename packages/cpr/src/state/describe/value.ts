/** A saved state's values, read by what its own index says of them. */

/** A value, as far as its type is known. */
export type StateValue =
  | IntegerValue
  /** Bytes of which no more is known than how many there are. */
  | { readonly type: "bytes"; readonly bytes: Uint8Array }
  /** Bytes that are text, such as what a guest printed; of whatever encoding, with control characters. */
  | { readonly type: "text"; readonly bytes: Uint8Array }
  | { readonly type: "list"; readonly items: readonly StateValue[] }
  | { readonly type: "struct"; readonly fields: readonly DescribedField[] };

export interface IntegerValue {
  readonly type: "integer";
  readonly value: bigint;
  /** In bytes. */
  readonly size: number;
}

export interface DescribedField {
  readonly name: string;
  readonly value: StateValue;
  /** What the value stands for, such as `runnable`. */
  readonly meaning?: string;
}

export interface DescribedRecord {
  readonly name: string;
  readonly kind: string;
  readonly version: number;
  readonly compat: number;
  readonly data: Uint8Array;
  readonly fields: readonly DescribedField[];
}

/** Whether nothing in a value is other than zero. */
export function isZero(value: StateValue): boolean {
  switch (value.type) {
    case "integer":
      return value.value === 0n;
    case "bytes":
    case "text":
      return value.bytes.every((byte) => byte === 0);
    case "list":
      return value.items.every(isZero);
    case "struct":
      return value.fields.every((field) => isZero(field.value));
  }
}
