export { setKvmIrqLevel } from "./irq-line.ts";
export { openKvm } from "./kvm.ts";
export { createVmAhead } from "./kvm-creation.ts";
export { blockKickSignal, KvmRunner } from "./kvm-runner.ts";
export { KvmVm } from "./kvm-vm.ts";
export { rehearseExits } from "./rehearse-exits.ts";
