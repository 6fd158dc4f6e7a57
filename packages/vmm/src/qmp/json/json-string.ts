/** JSON strings: UTF-8, and escapes. */

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

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
function codeUnit(text: string, at: number): number | undefined {
  const match = /^\\u([0-9a-fA-F]{4})/.exec(text.slice(at, at + 6));
  return match ? Number.parseInt(match[1] as string, 16) : undefined;
}

/** Not a character: what Unicode sets aside for ever. */
const isNoncharacter = (point: number) => (point & 0xfffe) === 0xfffe || (point >= 0xfdd0 && point <= 0xfdef);
const isSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;

/** The character that an escape at `at` names, and how long the escape is; `undefined` where it names none. */
function unicodeEscape(text: string, at: number): { char: string; length: number } | undefined {
  const first = codeUnit(text, at);
  if (first === undefined || isNoncharacter(first)) return undefined;
  if (!isSurrogate(first)) return { char: String.fromCharCode(first), length: 6 };
  const second = codeUnit(text, at + 6);
  if (second === undefined || first >= 0xdc00 || second < 0xdc00 || second > 0xdfff) return undefined;
  const char = String.fromCharCode(first, second);
  return isNoncharacter(char.codePointAt(0) as number) ? undefined : { char, length: 12 };
}

/**
 * The text of a string token.
 *
 * @param bytes The token with its quotes.
 * @param bad Makes the error from what is wrong.
 */
export function stringValue(bytes: Uint8Array, bad: (what: string) => Error): string {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw bad("invalid UTF-8 sequence in string");
  }
  let result = "";
  for (let at = 1; at < text.length - 1; ) {
    const backslash = text.indexOf("\\", at);
    const end = backslash === -1 ? text.length - 1 : backslash;
    result += text.slice(at, end);
    if (backslash === -1) break;
    const letter = text[backslash + 1] as string;
    if (letter === "u") {
      const unicode = unicodeEscape(text, backslash);
      if (!unicode) throw bad(`${text.slice(backslash, backslash + 6)} is not a valid Unicode character`);
      result += unicode.char;
      at = backslash + unicode.length;
    } else {
      const char = ESCAPES[letter];
      if (char === undefined) throw bad("invalid escape sequence in string");
      result += char;
      at = backslash + 2;
    }
  }
  return result;
}
