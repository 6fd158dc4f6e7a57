import { bootLab } from "./boot.ts";
import { findBusybox } from "./busybox.ts";
import { LabError } from "./errors.ts";
import { findLabKernel } from "./kernel.ts";
import { type LabOptions, labOptions } from "./options.ts";
import { findQemu } from "./qemu.ts";
import type { Sink } from "./stream.ts";

/** A test that prints more than this has gone wrong. In bytes, of each stream. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** How a command in the lab ended, and what it printed. */
export interface LabResult {
  /** As a shell tells it: 128 + N for a command that signal N ended. */
  status: number;
  stdout: string;
  stderr: string;
}

/**
 * Why the lab cannot run on this machine, in one line, or undefined if it can. For tests that skip by name:
 *
 * @example
 * ```ts
 * const skip = labSkipReason();
 * test.skipIf(skip !== undefined)(`boots Linux in the lab${skip ? ` (${skip})` : ""}`, async () => {});
 * ```
 */
export function labSkipReason(): string | undefined {
  try {
    findLabKernel();
    findQemu();
    findBusybox();
    return undefined;
  } catch (error) {
    if (error instanceof LabError) return error.message;
    throw error;
  }
}

/** Keeps what a stream says, up to a limit. */
function collector(name: string): { sink: Sink; text(): string } {
  const chunks: Uint8Array[] = [];
  let size = 0;
  return {
    sink(chunk) {
      size += chunk.length;
      if (size > MAX_OUTPUT_BYTES) {
        throw new LabError("died", `the command printed more than ${MAX_OUTPUT_BYTES} bytes on ${name}`);
      }
      chunks.push(chunk);
    },
    text: () => Buffer.concat(chunks).toString(),
  };
}

/**
 * Runs a command of this checkout inside the host in a box, in the checkout's root, and collects its output.
 *
 * @param argv the command and its arguments; `bun` is the bun that runs this
 * @throws LabError, with the output so far in its details, if the command did not end by itself:
 * time up, lab died, interrupted; or if the lab cannot run (see {@link labSkipReason})
 */
export async function runInLab(
  argv: readonly string[],
  options: Partial<LabOptions> & { signal?: AbortSignal } = {},
): Promise<LabResult> {
  const { signal, ...given } = options;
  const stdout = collector("stdout");
  const stderr = collector("stderr");
  const streams = { stdout: stdout.sink, stderr: stderr.sink, ...(signal && { signal }) };
  try {
    const status = await bootLab(argv, labOptions(given), streams);
    return { status, stdout: stdout.text(), stderr: stderr.text() };
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    const details = `console:\n${error.details}\nstdout:\n${stdout.text()}\nstderr:\n${stderr.text()}`;
    throw new LabError(error.code, error.message, details);
  }
}
