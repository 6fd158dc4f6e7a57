import { EXIT, type ExitCode } from "./exit-code.ts";

/** An error that ends the command with a line on stderr. */
export class CliError extends Error {
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = EXIT.failed, options?: ErrorOptions) {
    super(message, options);
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}

/** What the user wrote makes no sense. */
export class UsageError extends CliError {
  constructor(message: string) {
    super(message, EXIT.usage);
    this.name = "UsageError";
  }
}

/** The first line of whatever was thrown. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] || "unknown error";
}

/** The exit status that an error stands for. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliError) return error.exitCode;
  // A configuration that makes no sense, a kernel that is none: the user's to mend.
  const { name, code } = error as { name?: string; code?: string };
  return name === "VmmError" && code === "config" ? EXIT.usage : EXIT.failed;
}
