/**
 * What a subcommand is: plain data that the parser, the help texts and the completion scripts are made from, and a
 * function that does the work.
 *
 * An argument parser from npm was measured: importing commander alone costs 11 ms, more than all the rest of `vmm start`.
 */

/** How the shell completes a value: one of these words, a file, a running VM, or a command. */
export type Completion = readonly string[] | "file" | "vm" | "command";

export interface OptionSpec {
  /** The value's name in help, such as `SIZE`. Without it the option is a switch. */
  readonly value?: string;
  readonly summary: string;
  /** May be given several times. */
  readonly repeat?: boolean;
  readonly complete?: Completion;
}

export interface ArgumentSpec {
  /** The name in help, such as `NAME`. */
  readonly name: string;
  readonly summary: string;
  readonly optional?: boolean;
  /** Takes all the words that are left. */
  readonly variadic?: boolean;
  readonly complete?: Completion;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** The values of the options by name: text, a list where one may be repeated, true or false for a switch. */
export type OptionValues<O extends OptionSpecs> = {
  -readonly [K in keyof O]: O[K] extends { value: string }
    ? O[K] extends { repeat: true }
      ? string[]
      : string | undefined
    : boolean;
};

/** What the user wrote. */
export interface CommandInput<O extends OptionSpecs> {
  readonly options: OptionValues<O>;
  readonly args: readonly string[];
  /** The words after `--`, where the command takes some; `undefined` without `--`. */
  readonly rest: readonly string[] | undefined;
}

export interface CommandSpec<O extends OptionSpecs = OptionSpecs> {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** Paragraphs below it in the command's own help. */
  readonly description?: string;
  readonly args?: readonly ArgumentSpec[];
  /** The words after `--`. */
  readonly rest?: ArgumentSpec;
  readonly options: O;
  /** Command lines without `vmm`, with what they do. At least one. */
  readonly examples: readonly (readonly [line: string, meaning: string])[];
  /** @returns The exit status; nothing is 0. */
  run(input: CommandInput<O>): Promise<number | undefined>;
}

/** Declares a command, with the types of its option values taken from their specs. */
export function command<const O extends OptionSpecs>(spec: CommandSpec<O>): CommandSpec<O> {
  return spec;
}

/** Options that every command has. */
export const COMMON_OPTIONS = {
  help: { summary: "Show this help" },
} as const satisfies OptionSpecs;
