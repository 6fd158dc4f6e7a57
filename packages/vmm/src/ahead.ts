/**
 * What begins before anything else of the program is loaded: the making of the VM, where this process is to run one. It is
 * imported first.
 */
import { CPR_PREFLIGHT_ENV } from "@vmm/cpr/environment";
import { createVmAhead } from "./accel/kvm/kvm-creation.ts";

if (process.argv[2] === "--config" && process.env[CPR_PREFLIGHT_ENV] === undefined) createVmAhead();
