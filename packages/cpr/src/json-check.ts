/** Hand-written checks of JSON from elsewhere: the path to the first KVM_RUN has no room for a schema library. */
import { CprError, type CprErrorCode } from "./cpr-error.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

/** Reads parts of a JSON value, and names the part in the error where it is not what it should be. */
export class JsonChecker {
  readonly #code: CprErrorCode;
  readonly #what: string;

  /** @param what What the value is, for messages, such as `CPR state`. */
  constructor(code: CprErrorCode, what: string) {
    this.#code = code;
    this.#what = what;
  }

  fail(part: string, expected: string): never {
    throw new CprError(this.#code, `${this.#what}: ${part} is not ${expected}`);
  }

  object(value: unknown, part: string): JsonObject {
    if (typeof value !== "object" || value === null || Array.isArray(value)) this.fail(part, "an object");
    return value as JsonObject;
  }

  array(value: unknown, part: string, limit: number): readonly Json[] {
    if (!Array.isArray(value) || value.length > limit) this.fail(part, `a list of at most ${limit}`);
    return value as Json[];
  }

  string(value: unknown, part: string, limit = 4096): string {
    if (typeof value !== "string" || value.length > limit)
      this.fail(part, `text of at most ${limit} characters`);
    return value as string;
  }

  strings(value: unknown, part: string, limit: number): string[] {
    return this.array(value, part, limit).map((text, i) => this.string(text, `${part}[${i}]`, 1 << 20));
  }

  boolean(value: unknown, part: string): boolean {
    if (typeof value !== "boolean") this.fail(part, "true or false");
    return value as boolean;
  }

  /** A whole number of `min` to `max`. */
  integer(value: unknown, part: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      this.fail(part, `a whole number from ${min} to ${max}`);
    }
    return value as number;
  }

  /** Any finite number, such as a time in ns. */
  number(value: unknown, part: string): number {
    if (typeof value !== "number" || !Number.isFinite(value)) this.fail(part, "a number");
    return value as number;
  }

  /** One of a closed set of words. */
  oneOf<T extends string>(value: unknown, part: string, words: readonly T[]): T {
    if (!(words as readonly unknown[]).includes(value)) this.fail(part, `one of ${words.join(", ")}`);
    return value as T;
  }
}
