import { randomUUID } from "node:crypto";
import { type Box, startBox } from "./box.ts";
import { findBusybox } from "./busybox.ts";
import { LabError, type LabErrorCode } from "./errors.ts";
import { labJob } from "./job.ts";
import { findLabKernel } from "./kernel.ts";
import { labMachineArguments } from "./machine.ts";
import type { LabOptions } from "./options.ts";
import { findQemu } from "./qemu.ts";
import { readToStatus, type Sink } from "./stream.ts";

/** Where the command's output goes, and what may end it early. */
export interface LabStreams {
  stdout: Sink;
  stderr: Sink;
  signal?: AbortSignal;
}

/** How long the output that is already on its way may take once QEMU has ended, in ms. */
const GRACE_MS = 1000;

/** How often the box is looked at. */
const WATCH_MS = 1000;

/**
 * Boots the host in a box, runs a command of this checkout in it, and ends the box, whatever happens.
 *
 * @returns the command's exit status, as a shell tells it
 * @throws LabError if the command did not end by itself
 */
export async function bootLab(
  argv: readonly string[],
  options: LabOptions,
  streams: LabStreams,
): Promise<number> {
  if (argv.length === 0) throw new LabError("usage", "no command to run in the lab");
  const qemu = findQemu();
  const kernel = findLabKernel();
  findBusybox();
  const end = `lab-${randomUUID()}`;
  const job = Buffer.from(labJob(argv, options, kernel, end));
  const box = startBox([qemu, ...labMachineArguments(kernel, options, job.length)]);
  const limits = endInTime(box, argv.join(" "), options, streams.signal);
  try {
    box.send(job);
    const output = Promise.all([
      readToStatus(box.stdout, end, streams.stdout),
      readToStatus(box.stderr, end, streams.stderr),
    ]);
    // A reader that takes nothing must not hold up the end of a box that has ended.
    const [status, again] = (await Promise.race([output, box.ended.then(() => Bun.sleep(GRACE_MS))])) ?? [];
    if (status !== undefined && again !== undefined) return status;
    const [code, message] = limits.broken() ?? ["died", `the lab died: QEMU ${await box.ended}`];
    throw new LabError(code, message, box.console());
  } finally {
    limits.lift();
    await box.destroy();
  }
}

/** Ends the box when the time is up, it stands still, or the caller has had enough; `broken` tells which it was. */
function endInTime(
  box: Box,
  command: string,
  { timeoutSeconds, standstillSeconds }: LabOptions,
  signal: AbortSignal | undefined,
) {
  let broken: [LabErrorCode, string] | undefined;
  const stop = (code: LabErrorCode, message: string) => {
    broken ??= [code, message];
    box.kill();
  };
  const timer = setTimeout(
    () => stop("timeout", `${command}: not ended within ${timeoutSeconds} s`),
    timeoutSeconds * 1000,
  );
  let seen = performance.now();
  void (async () => {
    for await (const _ of box.pulse) seen = performance.now();
  })().catch(() => undefined);
  const watch = setInterval(() => {
    if (performance.now() - seen > standstillSeconds * 1000)
      stop("died", `the lab died: no sign of life for ${standstillSeconds} s`);
  }, WATCH_MS);
  const onAbort = () => stop("interrupted", `${command}: interrupted`);
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort);
  return {
    broken: () => broken,
    lift() {
      clearTimeout(timer);
      clearInterval(watch);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}
