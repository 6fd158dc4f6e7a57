/**
 * Asks the C compiler what the system's headers say, to compare it with what we say: sizes and offsets of structures,
 * request numbers, constants. The functions return the differences, one line each; none is what a test expects.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fields, IoctlRequest, Layout } from "../src/index.ts";

/** Where the compiler is, or null: tests that probe skip themselves by name then. */
export const gcc: string | null = Bun.which("gcc");

/** How a layout is called in C, where that differs. */
export interface CName {
  /** The type; `struct NAME` where left out. */
  type?: string;
  /** Our field's name to the C member (`u.msi.address_lo`); null for one that C does not have by a name. */
  fields?: Record<string, string | null>;
}

export interface ProbeOptions {
  /** Such as `linux/kvm.h`, included in this order. */
  headers: readonly string[];
  /** By the layout's name. */
  cNames?: Record<string, CName>;
  /**
   * What older headers may lack, which is no difference then: a layout, `layout.field`, a request or a constant by name;
   * `true` for everything.
   */
  newer?: readonly string[] | true;
  /** Lines before the headers, such as `#define _GNU_SOURCE`. */
  prologue?: readonly string[];
}

// biome-ignore lint/suspicious/noExplicitAny: layouts of any fields
type AnyLayout = Layout<any> | Layout<Fields>;

/** Compares size of each structure, and size and offset of each of its fields. */
export function probeLayouts(layouts: readonly AnyLayout[], options: ProbeOptions): string[] {
  const ours = new Map<string, { expression: string; value: bigint; about: string }>();
  for (const layout of layouts) {
    const c = options.cNames?.[layout.name];
    const type = c?.type ?? `struct ${layout.name}`;
    const add = (key: string, expression: string, value: number, about: string) =>
      ours.set(key, { expression, value: BigInt(value), about });
    add(`size of ${layout.name}`, `sizeof(${type})`, layout.size, layout.name);
    for (const { name, offset, size } of layout.fields) {
      const member = c?.fields?.[name] === undefined ? name : c.fields[name];
      if (member === null) continue;
      const path = `${layout.name}.${name}`;
      add(`offset of ${path}`, `offsetof(${type}, ${member})`, offset, path);
      add(`size of ${path}`, `sizeof(((${type} *)0)->${member})`, size, path);
    }
  }
  return compare(ours, options);
}

/** Compares request numbers with the macros of the same names. */
export function probeRequests(
  requests: readonly IoctlRequest[],
  headers: readonly string[],
  options: Omit<ProbeOptions, "headers" | "cNames"> = {},
): string[] {
  const numbers = Object.fromEntries(requests.map(({ name, number }) => [name, number]));
  return probeConstants(numbers, { ...options, headers });
}

/** Compares numbers with the macros or enumerators of the same names. Other exports of a module (functions) are left out. */
export function probeConstants(constants: Record<string, unknown>, options: ProbeOptions): string[] {
  const ours = new Map<string, { expression: string; value: bigint; about: string }>();
  for (const [name, value] of Object.entries(constants)) {
    if (typeof value !== "number" && typeof value !== "bigint") continue;
    ours.set(name, { expression: name, value: BigInt(value), about: name });
  }
  return compare(ours, options);
}

function compare(
  ours: ReadonlyMap<string, { expression: string; value: bigint; about: string }>,
  options: ProbeOptions,
): string[] {
  const expressions = [...ours.values()].map(({ expression }) => expression);
  const theirs = evaluate(expressions, options);
  const differences: string[] = [];
  for (const [key, { expression, value, about }] of ours) {
    const actual = theirs.get(expression);
    if (actual === undefined) {
      const { newer = [] } = options;
      const layout = about.split(".")[0] as string;
      if (newer !== true && !newer.includes(about) && !newer.includes(layout)) {
        differences.push(`${key}: the headers do not have it`);
      }
    } else if (BigInt.asUintN(64, value) !== BigInt.asUintN(64, actual)) {
      differences.push(`${key}: ${value} here, ${actual} in C`);
    }
  }
  return differences;
}

/** The values of C integer expressions; those that the headers know nothing of are left out. */
export function evaluate(expressions: readonly string[], options: ProbeOptions): Map<string, bigint> {
  const directory = mkdtempSync(join(tmpdir(), "c-probe-"));
  try {
    let wanted = [...new Set(expressions)];
    let failed = compile(directory, wanted, options);
    if (failed.size > 0) {
      wanted = wanted.filter((_, index) => !failed.has(index));
      failed = compile(directory, wanted, options);
      if (failed.size > 0) throw new Error(`the C probe fails: ${[...failed.values()].join("; ")}`);
    }
    const run = Bun.spawnSync([join(directory, "probe")]);
    if (!run.success) throw new Error(`the C probe ended with status ${run.exitCode}`);
    const lines = run.stdout.toString().trim().split("\n");
    if (wanted.length > 0 && lines.length !== wanted.length)
      throw new Error("the C probe printed too little");
    return new Map(wanted.map((expression, i) => [expression, BigInt(lines[i] as string)]));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Compiles a program that prints each expression; gives the indices of those that gcc rejects, with its reason. */
function compile(
  directory: string,
  expressions: readonly string[],
  { headers, prologue = [] }: ProbeOptions,
): Map<number, string> {
  const head = [
    ...prologue,
    "#include <stddef.h>",
    "#include <stdio.h>",
    ...headers.flatMap((h) => [`#if __has_include(<${h}>)`, `#include <${h}>`, "#endif"]),
    "int main(void) {",
  ];
  const body = expressions.map((e) => `printf("%lld\\n", (long long)(${e}));`);
  const source = join(directory, "probe.c");
  writeFileSync(source, [...head, ...body, "return 0; }", ""].join("\n"));
  const options = ["-w", "-fmax-errors=0", "-fdiagnostics-color=never", "-o", join(directory, "probe")];
  const result = Bun.spawnSync([gcc ?? "gcc", ...options, source], { env: { ...process.env, LC_ALL: "C" } });
  const failed = new Map<number, string>();
  if (result.success) return failed;
  const errors = result.stderr.toString();
  for (const [, line, reason] of errors.matchAll(/probe\.c:(\d+):\d+: (?:fatal )?error: (.*)/g)) {
    failed.set(Number(line) - head.length - 1, reason as string);
  }
  if (failed.size === 0 || [...failed.keys()].some((i) => i < 0)) throw new Error(`gcc fails: ${errors}`);
  return failed;
}
