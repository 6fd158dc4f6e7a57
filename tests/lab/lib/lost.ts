/** What QEMU's emulation breaks now and then by itself (docs/testing.md): such a run is made again. */
import { LabError } from "./errors.ts";

/** The exit status of a program in the lab that lost its guest: EX_TEMPFAIL of sysexits.h. */
export const GUEST_LOST_STATUS = 75;

/** The guest did not live to its end, in a way of which the emulation is known. */
export class GuestLost extends Error {
  override readonly name = "GuestLost";
  /** All that is known of it: it may have been ours. */
  readonly details: string;

  constructor(message: string, details: string) {
    super(message);
    this.details = details;
  }
}

const isLoss = (error: unknown): error is GuestLost | LabError =>
  error instanceof GuestLost || (error instanceof LabError && error.code === "died");

/** On a busy machine one run in four with four vCPUs is lost. */
export const MAX_RUNS = 4;

/**
 * Runs what has a guest in the lab, and again where the guest was lost or the lab died, each time with a line that says
 * so and what is known of the run before.
 *
 * @param what Names it in that line.
 * @param run Runs it in a lab of its own.
 */
export async function againIfLost<T>(what: string, run: () => Promise<T>): Promise<T> {
  for (let runs = 1; ; runs++) {
    try {
      return await run();
    } catch (error) {
      if (!isLoss(error)) throw error;
      const told = `${what}: ${error.message}, in run ${runs} of ${MAX_RUNS}:\n${error.details}`;
      if (runs === MAX_RUNS) throw new Error(told);
      console.error(told);
    }
  }
}
