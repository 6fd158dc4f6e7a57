/**
 * JSON as QMP clients may send it (QEMU's docs/interop/qmp-spec: RFC 8259, strings in single quotes too), cut into tokens
 * as the bytes come.
 */

/** `{`, `}` and so on stand for themselves. `number`, `string` and `keyword` keep their text for the parser. */
export type TokenType = "{" | "}" | "[" | "]" | ":" | "," | "number" | "string" | "keyword" | "stray";

export interface Token {
  readonly type: TokenType;
  /** The token as it came, quotes included. */
  readonly bytes: Uint8Array;
}

type State =
  | "start"
  | "double"
  | "double-escape"
  | "single"
  | "single-escape"
  | "minus"
  | "zero"
  | "digits"
  | "point"
  | "fraction"
  | "exponent"
  | "exponent-sign"
  | "exponent-digits"
  | "keyword"
  | "recovery";

/** What a byte does: goes on in a state, ends the token with it, ends the token before it, or breaks it. */
type Step = State | { readonly end: TokenType } | "before" | "stray";

const code = (char: string) => char.charCodeAt(0);
const STRUCTURE: ReadonlyMap<number, TokenType> = new Map(
  (["{", "}", "[", "]", ":", ","] as const).map((char) => [code(char), char]),
);
const [TAB, NEWLINE, RETURN, SPACE] = [0x09, 0x0a, 0x0d, 0x20];
const [DOUBLE, SINGLE, BACKSLASH, MINUS, PLUS, POINT, ZERO] = ['"', "'", "\\", "-", "+", ".", "0"].map(
  code,
) as [number, number, number, number, number, number, number];

const isDigit = (byte: number) => byte >= ZERO && byte <= ZERO + 9;
const isLower = (byte: number) => byte >= code("a") && byte <= code("z");
const isE = (byte: number) => byte === code("e") || byte === code("E");
/** Control characters, and bytes that no UTF-8 has. */
const isImpossible = (byte: number) => byte < SPACE || byte >= 0xfe;

function start(byte: number): Step {
  const structure = STRUCTURE.get(byte);
  if (structure) return { end: structure };
  if (byte === SPACE || byte === TAB || byte === NEWLINE || byte === RETURN) return "start";
  if (byte === DOUBLE) return "double";
  if (byte === SINGLE) return "single";
  if (byte === MINUS) return "minus";
  if (byte === ZERO) return "zero";
  if (isDigit(byte)) return "digits";
  if (isLower(byte)) return "keyword";
  return "stray";
}

function inString(byte: number, quote: number, inside: State, escaped: State): Step {
  if (byte === quote) return { end: "string" };
  if (byte === BACKSLASH) return escaped;
  return isImpossible(byte) ? "stray" : inside;
}

const digitOr = (byte: number, state: State, other: Step): Step => (isDigit(byte) ? state : other);
const fractionOr = (byte: number, other: Step): Step =>
  byte === POINT ? "point" : isE(byte) ? "exponent" : other;

/** After an error nothing counts until a byte that may begin something new. */
const mayBegin = (byte: number) => STRUCTURE.has(byte) || (byte !== TAB && isImpossible(byte));

const STEPS: Readonly<Record<State, (byte: number) => Step>> = {
  start,
  double: (byte) => inString(byte, DOUBLE, "double", "double-escape"),
  "double-escape": (byte) => (isImpossible(byte) ? "stray" : "double"),
  single: (byte) => inString(byte, SINGLE, "single", "single-escape"),
  "single-escape": (byte) => (isImpossible(byte) ? "stray" : "single"),
  minus: (byte) => (byte === ZERO ? "zero" : digitOr(byte, "digits", "stray")),
  zero: (byte) => (isDigit(byte) ? "stray" : fractionOr(byte, "before")),
  digits: (byte) => digitOr(byte, "digits", fractionOr(byte, "before")),
  point: (byte) => digitOr(byte, "fraction", "stray"),
  fraction: (byte) => digitOr(byte, "fraction", isE(byte) ? "exponent" : "before"),
  exponent: (byte) =>
    byte === MINUS || byte === PLUS ? "exponent-sign" : digitOr(byte, "exponent-digits", "stray"),
  "exponent-sign": (byte) => digitOr(byte, "exponent-digits", "stray"),
  "exponent-digits": (byte) => digitOr(byte, "exponent-digits", "before"),
  keyword: (byte) => (isLower(byte) ? "keyword" : "before"),
  recovery: (byte) => (mayBegin(byte) ? "before" : "recovery"),
};

const FIRST_ROOM = 256;

export class JsonLexer {
  #state: State = "start";
  #token = new Uint8Array(FIRST_ROOM);
  #length = 0;
  #emit: (token: Token) => void;

  /** @param emit Gets each token. A `stray` one is an error; what follows it is skipped up to where JSON may begin. */
  constructor(emit: (token: Token) => void) {
    this.#emit = emit;
  }

  /** Bytes of the token that has begun and not ended. */
  get pending(): number {
    return this.#length;
  }

  feed(byte: number): void {
    for (;;) {
      const step = STEPS[this.#state](byte);
      if (step === "before") {
        // the byte belongs to what comes next
        if (this.#state !== "recovery") this.#finish(this.#state === "keyword" ? "keyword" : "number");
        this.#state = "start";
        continue;
      }
      if (step === "stray") {
        this.#append(byte);
        this.#finish("stray");
        this.#state = "recovery";
      } else if (typeof step === "object") {
        this.#append(byte);
        this.#finish(step.end);
        this.#state = "start";
      } else {
        if (step !== "start" && step !== "recovery") this.#append(byte);
        this.#state = step;
      }
      return;
    }
  }

  /** Drops what has begun, and skips up to where JSON may begin. */
  recover(): void {
    this.#length = 0;
    this.#state = "recovery";
  }

  #append(byte: number): void {
    if (this.#length === this.#token.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#token);
      this.#token = larger;
    }
    this.#token[this.#length++] = byte;
  }

  #finish(type: TokenType): void {
    const bytes = this.#token.slice(0, this.#length);
    this.#length = 0;
    if (this.#token.length > 64 * FIRST_ROOM) this.#token = new Uint8Array(FIRST_ROOM);
    this.#emit({ type, bytes });
  }
}
