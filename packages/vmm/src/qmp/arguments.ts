/** Arguments checked by schemas, and errors in QEMU's words (its qobject-input-visitor). */
import * as z from "zod/mini";
import type { JsonObject } from "./json/index.ts";
import { QmpError } from "./qmp-error.ts";

const isWhole = (value: unknown) =>
  typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));

/** QAPI's `uint64`, as a number. Beyond 2^53 it is not exact, which no argument here needs. */
export const uint64 = z.pipe(
  z.custom<number | bigint>((value) => isWhole(value) && (value as number) >= 0, {
    params: { expects: "uint64" },
  }),
  z.transform(Number),
);

/** QAPI's `int`. */
export const integer = z.pipe(
  z.custom<number | bigint>(isWhole, { params: { type: "integer" } }),
  z.transform(Number),
);

/** An issue as zod gives it, as far as it is used. */
interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly expected?: string;
  readonly values?: readonly unknown[];
  readonly keys?: readonly string[];
  readonly params?: { readonly expects?: string; readonly type?: string };
  readonly discriminator?: string;
}

/** `channels[0].addr.type` */
function memberName(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === "number" ? `[${part}]` : `${i > 0 ? "." : ""}${String(part)}`))
    .join("");
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part], root);
}

/** The type that a value should have had, as QEMU names it; `undefined` where the type is right and the value wrong. */
function expectedType(issue: Issue, value: unknown): string | undefined {
  if (issue.params?.type) return issue.params.type;
  if (issue.code === "invalid_type") return issue.expected;
  // enumerations are strings
  return typeof value === "string" ? undefined : "string";
}

/** In QEMU an enumeration's error names its member alone, and an element of a list has none. */
function enumName(path: readonly PropertyKey[]): string {
  const last = path.at(-1);
  return typeof last === "string" ? last : "null";
}

function describe(issue: Issue, root: unknown): string {
  const name = memberName(issue.path);
  if (issue.code === "unrecognized_keys") {
    return `Parameter '${memberName([...issue.path, issue.keys?.[0] ?? ""])}' is unexpected`;
  }
  const value = valueAt(root, issue.path);
  if (value === undefined) return `Parameter '${name}' is missing`;
  if (issue.params?.expects) return `Parameter '${name}' expects ${issue.params.expects}`;
  const type = expectedType(issue, value);
  if (type) return `Invalid parameter type for '${name}', expected: ${type}`;
  return `Parameter '${enumName(issue.path)}' does not accept value '${value}'`;
}

/**
 * The arguments as the schema makes them.
 *
 * @throws QmpError with the first thing that is wrong: members that should be there before those that should not.
 */
export function checkArguments<A>(schema: z.ZodMiniType<A>, args: JsonObject): A {
  const result = schema.safeParse(args);
  if (result.success) return result.data;
  const issues = result.error.issues as readonly Issue[];
  const first = issues.find(({ code }) => code !== "unrecognized_keys") ?? issues[0];
  throw new QmpError(first ? describe(first, args) : "the arguments do not fit");
}
