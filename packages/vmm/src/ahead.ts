/**
 * What begins before anything else of the program is loaded, where this process is to run a VM: the making of that VM, and
 * the wait for signals that must not end it just now. It is imported first.
 */
import { CPR_PREFLIGHT_ENV } from "@vmm/cpr/environment";
import { createVmAhead } from "./accel/kvm/kvm-creation.ts";
import { holdEndSignals } from "./process/end-signals.ts";

if (process.argv[2] === "--config" && process.env[CPR_PREFLIGHT_ENV] === undefined) {
  holdEndSignals();
  createVmAhead();
}
