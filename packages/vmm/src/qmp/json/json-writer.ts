/** JSON as QEMU writes it: ASCII alone, a space after `:` and `,`. Members that are undefined are left out. */

const escapeAscii = (text: string) =>
  JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`,
  );

/** @param value Plain data: no cycles, no functions. */
export function writeJson(value: unknown): string {
  if (typeof value === "string") return escapeAscii(value);
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(writeJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return `{${members.map(([key, member]) => `${escapeAscii(key)}: ${writeJson(member)}`).join(", ")}}`;
  }
  // Infinity and NaN have no JSON
  return typeof value === "boolean" || Number.isFinite(value) ? String(value) : "null";
}
