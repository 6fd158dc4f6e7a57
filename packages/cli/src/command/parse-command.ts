/** Command lines, parsed by the command's spec. */
import { UsageError } from "../cli-error.ts";
import {
  COMMON_OPTIONS,
  type CommandInput,
  type CommandSpec,
  type OptionSpec,
  type OptionSpecs,
} from "./command.ts";
import { nearest } from "./nearest.ts";

export interface ParsedCommand<O extends OptionSpecs> extends CommandInput<O> {
  readonly help: boolean;
}

type Values = Record<string, string | string[] | boolean | undefined>;

function emptyValues(options: OptionSpecs): Values {
  const empty = ({ value, repeat }: OptionSpec) => (value ? (repeat ? [] : undefined) : false);
  return Object.fromEntries(Object.entries(options).map(([name, spec]) => [name, empty(spec)]));
}

function specOf(options: OptionSpecs, name: string, command: string): OptionSpec {
  const spec = Object.hasOwn(options, name) ? options[name] : undefined;
  if (spec) return spec;
  const guess = nearest(name, Object.keys(options));
  const hint = guess ? `did you mean --${guess}?` : `see vmm ${command} --help`;
  throw new UsageError(`unknown option --${name}; ${hint}`);
}

function setOption(values: Values, name: string, value: string): void {
  const old = values[name];
  if (Array.isArray(old)) old.push(value);
  else if (old !== undefined) throw new UsageError(`--${name} is given twice`);
  else values[name] = value;
}

/**
 * Takes a command line apart. `--option VALUE` and `--option=VALUE` are the same; options may stand among arguments.
 *
 * @param words Without the command's own name.
 * @throws UsageError for whatever the command does not know, has twice, or misses.
 */
export function parseCommand<O extends OptionSpecs>(
  spec: CommandSpec<O>,
  words: readonly string[],
): ParsedCommand<O> {
  const specs: OptionSpecs = { ...spec.options, ...COMMON_OPTIONS };
  const values = emptyValues(specs);
  const args: string[] = [];
  let rest: string[] | undefined;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word === "--" && spec.rest) {
      rest = words.slice(i + 1);
      break;
    }
    if (word === "--") continue;
    if (word === "-h") values.help = true;
    else if (word.startsWith("--")) i += takeOption(spec, specs, values, word, words[i + 1]);
    else if (word.startsWith("-") && word !== "-") {
      throw new UsageError(`unknown option ${word}; options are long, see vmm ${spec.name} --help`);
    } else args.push(word);
  }
  const help = values.help === true;
  if (!help) checkArguments(spec as CommandSpec, args, rest);
  return { options: values as CommandInput<O>["options"], args, rest, help };
}

/** Returns how many words after this one belong to the option. */
function takeOption(
  command: { readonly name: string },
  specs: OptionSpecs,
  values: Values,
  word: string,
  next: string | undefined,
): 0 | 1 {
  const equals = word.indexOf("=");
  const name = word.slice(2, equals === -1 ? undefined : equals);
  const option = specOf(specs, name, command.name);
  if (!option.value) {
    if (equals !== -1) throw new UsageError(`--${name} takes no value`);
    values[name] = true;
    return 0;
  }
  if (equals !== -1) {
    setOption(values, name, word.slice(equals + 1));
    return 0;
  }
  if (next === undefined) throw new UsageError(`--${name} needs a value: --${name} ${option.value}`);
  setOption(values, name, next);
  return 1;
}

function checkArguments(
  spec: CommandSpec,
  args: readonly string[],
  rest: readonly string[] | undefined,
): void {
  const wanted = spec.args ?? [];
  const missing = wanted.find((argument, i) => !argument.optional && args[i] === undefined);
  if (missing) throw new UsageError(`${missing.name} is missing; see vmm ${spec.name} --help`);
  if (args.length > wanted.length && !wanted.at(-1)?.variadic) {
    const surplus = args[wanted.length];
    const takes =
      wanted.length === 0 ? "takes no arguments" : `takes only ${wanted.map((a) => a.name).join(" ")}`;
    throw new UsageError(`vmm ${spec.name} ${takes}, not also "${surplus}"`);
  }
  if (rest && rest.length === 0)
    throw new UsageError(`there is nothing after --; see vmm ${spec.name} --help`);
}
