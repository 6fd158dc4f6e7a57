/** The vmm command: finds the subcommand, runs it, and turns what it throws into one line and an exit status. */
import { exitCodeOf, reasonOf, UsageError } from "./cli-error.ts";
import { nearest } from "./command/nearest.ts";
import { parseCommand } from "./command/parse-command.ts";
import { COMMANDS, loadCommand } from "./commands/index.ts";
import { EXIT } from "./exit-code.ts";
import { print, printError } from "./print.ts";

/** @param words The command line without program and script. @returns The exit status. */
export async function runCli(words: readonly string[]): Promise<number> {
  try {
    return await dispatch(words);
  } catch (error) {
    printError(reasonOf(error));
    if (process.env.VMM_DEBUG) console.error(error);
    return exitCodeOf(error);
  }
}

async function dispatch([name, ...words]: readonly string[]): Promise<number> {
  if (name === undefined) {
    await showOverview();
    return EXIT.usage;
  }
  if (name === "--help" || name === "-h" || name === "help") return showHelp(words[0]);
  if (name === "--version" || name === "-V" || name === "version") return showVersion();
  const spec = await loadCommand(name);
  if (!spec) throw unknownCommand(name);
  const input = parseCommand(spec, words);
  if (input.help) return showHelp(name);
  return (await spec.run(input)) ?? EXIT.ok;
}

function unknownCommand(name: string): UsageError {
  const guess = nearest(name, Object.keys(COMMANDS));
  const hint = guess ? `did you mean vmm ${guess}?` : "see vmm --help";
  return new UsageError(`unknown command "${name}"; ${hint}`);
}

async function showOverview(): Promise<void> {
  const { overview } = await import("./command/help.ts");
  const { helpGroups } = await import("./commands/index.ts");
  print(overview(helpGroups()).trimEnd());
}

async function showHelp(name: string | undefined): Promise<number> {
  if (name === undefined) {
    await showOverview();
    return EXIT.ok;
  }
  const spec = await loadCommand(name);
  if (!spec) throw unknownCommand(name);
  const { commandHelp } = await import("./command/help.ts");
  print(commandHelp(spec).trimEnd());
  return EXIT.ok;
}

async function showVersion(): Promise<number> {
  const { default: manifest } = await import("../package.json");
  print(`vmm ${manifest.version} (bun ${Bun.version})`);
  return EXIT.ok;
}
