/**
 * Text as QMP has it (QEMU's util/unicode.c): UTF-8, with U+0000 as `C0 80`, without surrogates and noncharacters.
 *
 * `TextDecoder` takes `C0 80` for wrong and noncharacters for right, and puts another number of U+FFFD where bytes are wrong:
 * a sequence here is its first byte with all the continuation bytes that it asks for and that are there.
 */

/** A sequence of bytes: what it stands for, `undefined` where it stands for no character, and where the next one begins. */
interface Sequence {
  readonly point: number | undefined;
  readonly end: number;
}

/** Not a character: what Unicode sets aside for ever. */
export const isNoncharacter = (point: number): boolean =>
  (point & 0xfffe) === 0xfffe || (point >= 0xfdd0 && point <= 0xfdef);
export const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;

/** The least code point of a sequence, by its length: what is less is too long for what it says. */
const LEAST = [0, 0, 0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000];
const LAST_POINT = 0x10_ffff;

const isContinuation = (byte: number | undefined): byte is number =>
  byte !== undefined && (byte & 0xc0) === 0x80;

/** The sequence at `at`, where a byte is. */
export function sequenceAt(bytes: Uint8Array, at: number): Sequence {
  const first = bytes[at] as number;
  if (first < 0x80) return { point: first, end: at + 1 };
  // ones before the first zero say how long it is: one is a continuation byte without a beginning, seven and eight are nothing
  const length = Math.clz32(~(first << 24));
  if (length === 1 || length > 6) return { point: undefined, end: at + 1 };
  let point = first & (0x7f >> length);
  let end = at + 1;
  for (let byte = bytes[end]; end < at + length && isContinuation(byte); byte = bytes[++end]) {
    point = (point << 6) | (byte & 0x3f);
  }
  if (end < at + length) return { point: undefined, end };
  const isNul = length === 2 && point === 0;
  const isTooLong = point < (LEAST[length] as number) && !isNul;
  const isNone = point > LAST_POINT || isSurrogate(point) || isNoncharacter(point);
  return { point: isTooLong || isNone ? undefined : point, end };
}

/** The text of `bytes` up to a NUL, as C has it, with U+FFFD for each sequence that stands for no character. */
export function lossyText(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const { point, end } = sequenceAt(bytes, at);
    text += point === undefined ? "\uFFFD" : String.fromCodePoint(point);
    at = end;
  }
  return text;
}
