/** JSON strings: UTF-8, and escapes. */
import { isNoncharacter, isSurrogate, lossyText, sequenceAt } from "./modified-utf8.ts";

const BACKSLASH = 0x5c;
/** Bytes of `\uXXXX`. */
const UNIT_LENGTH = 6;

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** A UTF-16 code unit as `\uXXXX` at `at` has it. */
function codeUnit(bytes: Uint8Array, at: number): number | undefined {
  const text = String.fromCharCode(...bytes.subarray(at, at + UNIT_LENGTH));
  const match = /^\\u([0-9a-fA-F]{4})/.exec(text);
  return match ? Number.parseInt(match[1] as string, 16) : undefined;
}

interface Piece {
  readonly text: string;
  readonly end: number;
}

/** What the escape of a character by its number at `at` stands for; `undefined` where it names none. */
function unicodeEscape(bytes: Uint8Array, at: number): Piece | undefined {
  const first = codeUnit(bytes, at);
  if (first === undefined || isNoncharacter(first)) return undefined;
  if (!isSurrogate(first)) return { text: String.fromCharCode(first), end: at + UNIT_LENGTH };
  const second = codeUnit(bytes, at + UNIT_LENGTH);
  if (second === undefined || first >= 0xdc00 || second < 0xdc00 || second > 0xdfff) return undefined;
  const text = String.fromCharCode(first, second);
  return isNoncharacter(text.codePointAt(0) as number) ? undefined : { text, end: at + 2 * UNIT_LENGTH };
}

type Bad = (what: string) => Error;

function escapeAt(bytes: Uint8Array, at: number, bad: Bad): Piece {
  const letter = String.fromCharCode(bytes[at + 1] as number);
  if (letter === "u") {
    const unicode = unicodeEscape(bytes, at);
    if (unicode) return unicode;
    throw bad(`${lossyText(bytes.subarray(at, at + UNIT_LENGTH))} is not a valid Unicode character`);
  }
  const text = ESCAPES[letter];
  if (text === undefined) throw bad("invalid escape sequence in string");
  return { text, end: at + 2 };
}

function characterAt(bytes: Uint8Array, at: number, bad: Bad): Piece {
  const { point, end } = sequenceAt(bytes, at);
  if (point === undefined) throw bad("invalid UTF-8 sequence in string");
  return { text: String.fromCodePoint(point), end };
}

/**
 * The text of a string token. What is wrong first is what is told.
 *
 * @param bytes The token with its quotes.
 * @param bad Makes the error from what is wrong.
 */
export function stringValue(bytes: Uint8Array, bad: Bad): string {
  let result = "";
  for (let at = 1; at < bytes.length - 1; ) {
    const piece = bytes[at] === BACKSLASH ? escapeAt(bytes, at, bad) : characterAt(bytes, at, bad);
    result += piece.text;
    at = piece.end;
  }
  return result;
}
