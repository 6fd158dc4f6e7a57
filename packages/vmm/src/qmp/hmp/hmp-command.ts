import type { QmpHost } from "../qmp-host.ts";

export interface HmpContext {
  readonly host: QmpHost;
  /** The vCPU that commands are about where they name none. */
  readonly cpu: number;
}

/** One `info` subcommand. */
export interface InfoCommand {
  readonly name: string;
  /** Its parameters, for `help`. */
  readonly params: string;
  readonly help: string;
  /** Letters of the options that it takes, such as `a` for `-a`. */
  readonly options: string;
  /** Whether it takes one more word. */
  readonly word: boolean;
  /** Lines end in `\n`. @throws HmpError */
  run(context: HmpContext, args: HmpArguments): string;
}

export interface HmpArguments {
  readonly options: ReadonlySet<string>;
  readonly word?: string;
}

/** What is wrong with a command line. The message is shown to the user. */
export class HmpError extends Error {
  /** Whether to point to the command's help. */
  readonly pointsToHelp: boolean;

  constructor(message: string, pointsToHelp = true) {
    super(message);
    this.name = "HmpError";
    this.pointsToHelp = pointsToHelp;
  }
}
