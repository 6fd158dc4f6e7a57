/** Command lines of the benchmarks: `--name value`, and flags. */

/** What an option takes: a whole number, one of some words, any text, or nothing. */
export type OptionKind = "number" | "text" | "flag" | readonly string[];

export interface OptionSpec {
  readonly kind: OptionKind;
  readonly help: string;
  readonly default?: number | string;
}

type ValueOf<S extends OptionSpec> = S["kind"] extends "number"
  ? number
  : S["kind"] extends "flag"
    ? boolean
    : S["kind"] extends readonly (infer Word)[]
      ? Word
      : string;
/** An option without a default may be missing. */
type Parsed<S extends OptionSpec> = S["kind"] extends "flag"
  ? boolean
  : undefined extends S["default"]
    ? ValueOf<S> | undefined
    : ValueOf<S>;

export type Options<Specs extends Record<string, OptionSpec>> = {
  -readonly [Name in keyof Specs]: Parsed<Specs[Name]>;
};

/** A command line that is wrong, told in one line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** @throws UsageError */
export function parseOptions<const Specs extends Record<string, OptionSpec>>(
  specs: Specs,
  argv: readonly string[],
): Options<Specs> {
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(specs)) {
    values[name] = spec.kind === "flag" ? false : spec.default;
  }
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    const [, name = "", inline] = /^--([a-z-]+)(?:=(.*))?$/.exec(word) ?? [];
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (!spec) throw new UsageError(`unknown option ${word}; try --help`);
    if (spec.kind === "flag") values[name] = true;
    else values[name] = parseValue(word, spec.kind, inline ?? argv[++i]);
  }
  return values as Options<Specs>;
}

function parseValue(word: string, kind: OptionKind, text: string | undefined): number | string {
  if (text === undefined) throw new UsageError(`${word} needs a value`);
  if (kind === "number") {
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`${word} ${text}: not a whole number above 0`);
    return Number(text);
  }
  if (typeof kind !== "string" && !kind.includes(text)) {
    throw new UsageError(`${word} ${text}: it takes ${kind.join(" or ")}`);
  }
  return text;
}

export function helpText(
  command: string,
  about: string,
  specs: Readonly<Record<string, OptionSpec>>,
): string {
  const lines = Object.entries(specs).map(([name, { kind, help, default: value }]) => {
    const takes =
      kind === "flag"
        ? ""
        : typeof kind === "string"
          ? ` ${kind === "number" ? "N" : "TEXT"}`
          : ` ${kind.join("|")}`;
    return `  --${name}${takes}`.padEnd(32) + help + (value === undefined ? "" : ` (default: ${value})`);
  });
  return [about, "", `Usage: bun run ${command} -- [OPTIONS]`, "", ...lines].join("\n");
}

/**
 * Runs a benchmark: parses its options, prints its help, and tells what went wrong in one line.
 *
 * @param run Returns what to print: an object as JSON, or text.
 */
export async function runBenchmark<const Specs extends Record<string, OptionSpec>>(
  { command, about, specs }: { command: string; about: string; specs: Specs },
  run: (options: Options<Specs>) => Promise<string | object>,
): Promise<void> {
  const argv = Bun.argv.slice(2);
  if (argv.includes("--help")) {
    console.log(helpText(command, about, specs));
    return;
  }
  try {
    const result = await run(parseOptions(specs, argv));
    console.log(typeof result === "string" ? result : JSON.stringify(result, null, 2));
  } catch (error) {
    console.error(`${command}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
