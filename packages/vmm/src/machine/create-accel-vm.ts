/** Makes the VM of the first accelerator that this host can give. */
import type { AccelVm } from "../accel/accelerator.ts";
import { KvmVm } from "../accel/kvm/index.ts";
import type { VmConfig } from "../config/vm-config.ts";
import { VmmError } from "../vmm-error.ts";

const ACCELERATORS: Readonly<Record<string, (cpus: number) => AccelVm>> = {
  kvm: (cpus) => new KvmVm(cpus),
};

/** @throws VmmError `accel` with the reason of each accelerator that was tried. */
export function createAccelVm(config: VmConfig): AccelVm {
  const reasons: string[] = [];
  for (const name of config.accel) {
    const create = ACCELERATORS[name];
    if (!create) {
      reasons.push(`accelerator "${name}" is unknown; there is: ${Object.keys(ACCELERATORS).join(", ")}`);
      continue;
    }
    try {
      return create(config.cpus);
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      reasons.push(error.message);
    }
  }
  throw new VmmError("accel", reasons.join("; ") || "no accelerator was given");
}
