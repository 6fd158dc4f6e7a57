/** The human monitor, as far as there is one: `info` and `help`, with QEMU's words for what is not there. */
import { type HmpArguments, type HmpContext, HmpError, type InfoCommand } from "./hmp-command.ts";
import { INFO_COMMANDS } from "./info-commands.ts";

const helpLine = ({ name, params, help }: InfoCommand) =>
  `info ${name}${params === "" ? "" : ` ${params}`} -- ${help}\n`;
const infoHelp = () => INFO_COMMANDS.map(helpLine).join("");

const unknown = (command: string) => `unknown command: '${command}'\n`;

function helpText(words: readonly string[]): string {
  const [first, second] = words;
  if (first === undefined) return `${infoHelp()}help [cmd] -- show the help\n`;
  if (first === "help") return "help [cmd] -- show the help\n";
  if (first !== "info") return unknown(first);
  const command = INFO_COMMANDS.find(({ name }) => name === second);
  return command ? helpLine(command) : infoHelp();
}

function readArguments(command: InfoCommand, words: readonly string[]): HmpArguments {
  const options = new Set<string>();
  const rest: string[] = [];
  for (const word of words) {
    if (!/^-\D/.test(word) || command.options === "") rest.push(word);
    else if (word.length === 2 && command.options.includes(word[1] as string)) options.add(word[1] as string);
    else throw new HmpError(`${command.name}: unsupported option ${word}`);
  }
  const [word, ...more] = rest;
  if (more.length > 0 || (word !== undefined && !command.word)) {
    throw new HmpError(`${command.name}: extraneous characters at the end of line`);
  }
  return { options, ...(word !== undefined && { word }) };
}

function info(words: readonly string[], context: HmpContext): string {
  const [name, ...rest] = words;
  if (name === undefined) return infoHelp();
  const command = INFO_COMMANDS.find((c) => c.name === name);
  if (!command) return unknown(`info ${name}`);
  try {
    return command.run(context, readArguments(command, rest));
  } catch (error) {
    if (!(error instanceof HmpError)) throw error;
    const pointer = error.pointsToHelp ? `Try "help info ${name}" for more information\n` : "";
    return `${error.message}\n${pointer}`;
  }
}

/** Runs a command line. What it prints is the result, with lines that end in `\r\n` as QEMU's do. */
export function runHmp(line: string, context: HmpContext): string {
  const [command, ...words] = line.split(/\s+/).filter((word) => word !== "");
  let text: string;
  if (command === undefined) text = "";
  else if (command === "info") text = info(words, context);
  else if (command === "help" || command === "?") text = helpText(words);
  else text = unknown(command);
  return text.replace(/\r?\n/g, "\r\n");
}
