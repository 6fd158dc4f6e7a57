export { openKvm } from "./kvm.ts";
export { createVmAhead } from "./kvm-creation.ts";
export { blockKickSignal, KvmRunner } from "./kvm-runner.ts";
export { KvmVm, setKvmIrqLevel } from "./kvm-vm.ts";
