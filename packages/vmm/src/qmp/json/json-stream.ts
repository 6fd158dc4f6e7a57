/** A stream of JSON values without anything between them, as a QMP client sends it: in any pieces, at any spacing. */
import { JsonLexer, type Token } from "./json-lexer.ts";
import { JsonError, type JsonValue, parseTokens } from "./json-parser.ts";
import { lossyText } from "./modified-utf8.ts";

/** Bytes of one value, all its tokens together. */
export const MAX_VALUE_SIZE = 1 << 20;
export const MAX_NESTING = 1024;
/** Tokens of one value. */
export const MAX_TOKENS = 1 << 16;

/** A value, or what was wrong where one should have been. */
export type JsonItem = { readonly value: JsonValue } | { readonly error: JsonError };

export class JsonStream {
  #lexer = new JsonLexer((token) => this.#take(token));
  #tokens: Token[] = [];
  #size = 0;
  #braces = 0;
  #brackets = 0;
  #items: JsonItem[] = [];

  /** Takes the next bytes; returns what they complete. After an error it goes on where JSON may begin again. */
  feed(bytes: Uint8Array): JsonItem[] {
    for (const byte of bytes) {
      this.#lexer.feed(byte);
      if (this.#size + this.#lexer.pending > MAX_VALUE_SIZE) {
        this.#fail("JSON token size limit exceeded");
        this.#lexer.recover();
      }
    }
    return this.#items.splice(0);
  }

  #take(token: Token): void {
    switch (token.type) {
      case "{":
        this.#braces++;
        break;
      case "}":
        this.#braces--;
        break;
      case "[":
        this.#brackets++;
        break;
      case "]":
        this.#brackets--;
        break;
      case "stray":
        this.#fail(`JSON parse error, stray '${lossyText(token.bytes)}'`);
        return;
    }
    if (this.#braces + this.#brackets > MAX_NESTING) this.#fail("JSON nesting depth limit exceeded");
    else if (this.#tokens.length >= MAX_TOKENS) this.#fail("JSON token count limit exceeded");
    else this.#add(token);
  }

  #add(token: Token): void {
    this.#tokens.push(token);
    this.#size += token.bytes.length;
    const open = this.#braces > 0 || this.#brackets > 0;
    if (!open || this.#braces < 0 || this.#brackets < 0) this.#complete();
  }

  #complete(): void {
    try {
      this.#items.push({ value: parseTokens(this.#tokens) });
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      this.#items.push({ error });
    }
    this.#reset();
  }

  #fail(message: string): void {
    this.#items.push({ error: new JsonError(message) });
    this.#reset();
  }

  #reset(): void {
    this.#tokens = [];
    this.#size = 0;
    this.#braces = 0;
    this.#brackets = 0;
  }
}
