/** From the tokens of one JSON value to the value, with QEMU's words for what is wrong. */
import type { Token } from "./json-lexer.ts";
import { stringValue } from "./json-string.ts";

/** Whole numbers beyond 2^53 that fit in 64 bits are bigints; objects have no prototype. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export type JsonObject = { readonly [key: string]: JsonValue };

/** What is wrong with the JSON. The message is what the client is told. */
export class JsonError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "JsonError";
  }
}

const bad = (what: string) => new JsonError(`JSON parse error, ${what}`);

const latin1 = (bytes: Uint8Array) => String.fromCharCode(...bytes);

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

function numberValue(text: string): number | bigint {
  const value = Number(text);
  if (!/^-?\d+$/.test(text)) return value;
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  const whole = BigInt(text);
  return whole >= INT64_MIN && whole <= UINT64_MAX ? whole : value;
}

function keywordValue(text: string): null | boolean {
  switch (text) {
    case "true":
      return true;
    case "false":
      return false;
    case "null":
      return null;
    default:
      throw bad(`invalid keyword '${text}'`);
  }
}

class Parser {
  #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  value(): JsonValue {
    const token = this.#tokens[this.#at++];
    switch (token?.type) {
      case "{":
        return this.#object();
      case "[":
        return this.#list();
      case "string":
        return stringValue(token.bytes, bad);
      case "number":
        return numberValue(latin1(token.bytes));
      case "keyword":
        return keywordValue(latin1(token.bytes));
      default:
        throw bad("expecting value");
    }
  }

  #takes(type: Token["type"]): boolean {
    if (this.#tokens[this.#at]?.type !== type) return false;
    this.#at++;
    return true;
  }

  #object(): JsonObject {
    const object: Record<string, JsonValue> = Object.create(null);
    if (this.#takes("}")) return object;
    do {
      const key = this.value();
      if (typeof key !== "string") throw bad("key is not a string in object");
      if (!this.#takes(":")) throw bad("missing : in object pair");
      const value = this.value();
      if (key in object) throw bad("duplicate key");
      object[key] = value;
    } while (this.#takes(","));
    if (!this.#takes("}")) throw bad("expected separator in dict");
    return object;
  }

  #list(): JsonValue[] {
    const list: JsonValue[] = [];
    if (this.#takes("]")) return list;
    do list.push(this.value());
    while (this.#takes(","));
    if (!this.#takes("]")) throw bad("expected separator in list");
    return list;
  }
}

/** @throws JsonError where the tokens are not one value. */
export function parseTokens(tokens: readonly Token[]): JsonValue {
  return new Parser(tokens).value();
}
