/**
 * ACPI machine language, as far as the DSDT needs it (ACPI 6.5, chapter 20): each function gives the bytes of one term,
 * and terms nest.
 *
 * @example A device with one name
 * ```ts
 * scope("\\_SB", device("RTC", name("_HID", eisaId("PNP0B00"))));
 * ```
 */

/** The bytes of a term. */
export type Aml = Uint8Array;

const OP = {
  zero: 0x00,
  one: 0x01,
  name: 0x08,
  byte: 0x0a,
  word: 0x0b,
  dword: 0x0c,
  string: 0x0d,
  qword: 0x0e,
  scope: 0x10,
  buffer: 0x11,
  package: 0x12,
  dualName: 0x2e,
  multiName: 0x2f,
  extended: 0x5b,
  /** After `extended`. */
  device: 0x82,
} as const;

const bytes = (...values: number[]): Aml => Uint8Array.from(values);
const join = (...parts: readonly Aml[]): Aml => Buffer.concat(parts);

/** `value` in `size` bytes, low byte first. */
function little(value: number, size: number): Aml {
  const out = new Uint8Array(size);
  for (let i = 0; i < size; i++) out[i] = Math.floor(value / 2 ** (8 * i)) & 0xff;
  return out;
}

/** The longest package that its length can be said of. */
const LONGEST_PACKAGE = 2 ** 28 - 1;

/**
 * A length that counts its own bytes: up to 63 in one byte, else four bits in the first byte and eight in each of up to
 * three more (section 20.2.4).
 */
function withLength(body: Aml): Aml {
  if (body.length + 1 <= 0x3f) return join(bytes(body.length + 1), body);
  let more = 1;
  while (body.length + 1 + more >= 2 ** (4 + 8 * more)) more++;
  const length = body.length + 1 + more;
  if (length > LONGEST_PACKAGE) throw new RangeError(`AML package of ${length} bytes`);
  return join(bytes((more << 6) | (length & 0x0f)), little(length >>> 4, more), body);
}

/** A path such as `\_SB.PCI0`: segments of up to four characters, from the root where it starts with a backslash. */
export function path(text: string): Aml {
  const rooted = text.startsWith("\\");
  const segments = text
    .slice(rooted ? 1 : 0)
    .split(".")
    .filter(Boolean);
  for (const segment of segments) {
    if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)) throw new RangeError(`AML name segment "${segment}"`);
  }
  const names = new TextEncoder().encode(segments.map((segment) => segment.padEnd(4, "_")).join(""));
  return join(bytes(...(rooted ? [0x5c] : []), ...segmentPrefix(segments.length)), names);
}

function segmentPrefix(segments: number): number[] {
  if (segments === 0) return [0];
  if (segments === 1) return [];
  return segments === 2 ? [OP.dualName] : [OP.multiName, segments];
}

/** A constant, in the shortest form. */
export function integer(value: number): Aml {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`AML integer ${value}`);
  if (value <= 1) return bytes(value === 0 ? OP.zero : OP.one);
  if (value <= 0xff) return bytes(OP.byte, value);
  if (value <= 0xffff) return join(bytes(OP.word), little(value, 2));
  if (value <= 0xffffffff) return join(bytes(OP.dword), little(value, 4));
  return join(bytes(OP.qword), little(value, 8));
}

/** An ASCII string. */
export const string = (text: string): Aml => join(bytes(OP.string), new TextEncoder().encode(text), bytes(0));

/** A named object with a value. */
export const name = (called: string, value: Aml): Aml => join(bytes(OP.name), path(called), value);

/** Terms within an existing object. */
export const scope = (of: string, ...terms: readonly Aml[]): Aml =>
  join(bytes(OP.scope), withLength(join(path(of), ...terms)));

export const device = (called: string, ...terms: readonly Aml[]): Aml =>
  join(bytes(OP.extended, OP.device), withLength(join(path(called), ...terms)));

/** A package of up to 255 elements. */
export const packageOf = (...elements: readonly Aml[]): Aml =>
  join(bytes(OP.package), withLength(join(bytes(elements.length), ...elements)));

export const buffer = (content: Uint8Array): Aml =>
  join(bytes(OP.buffer), withLength(join(integer(content.length), content)));

/** An EISA id such as `PNP0501`: three letters of five bits and four hex digits, high byte first (section 19.6.37). */
export function eisaId(text: string): Aml {
  if (!/^[A-Z]{3}[0-9A-F]{4}$/.test(text)) throw new RangeError(`EISA id "${text}"`);
  const letter = (index: number) => text.charCodeAt(index) - 0x40;
  const value =
    letter(0) * 2 ** 26 + letter(1) * 2 ** 21 + letter(2) * 2 ** 16 + Number.parseInt(text.slice(3), 16);
  return join(bytes(OP.dword), little(value, 4).reverse());
}
