export { openKvm } from "./kvm.ts";
export { createVmAhead } from "./kvm-creation.ts";
export {
  blockKickSignal,
  blockProcessSignals,
  KvmRunner,
  processSignals,
  unblockProcessSignals,
} from "./kvm-runner.ts";
export { KvmVm, setKvmIrqLevel } from "./kvm-vm.ts";
