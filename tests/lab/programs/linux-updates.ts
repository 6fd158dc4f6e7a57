/**
 * Runs in the lab: starts a Linux guest under vmm by the real commands, replaces its VMM several times, has the guest
 * power off, and prints what happened as JSON.
 *
 *     bun tests/lab/programs/linux-updates.ts KERNEL INITRD CPUS MEMORY UPDATES
 */
import { LinuxVm } from "./linux-vm.ts";

const [kernel = "", initrd = "", cpus = "1", memory = "512M", updates = "5"] = process.argv.slice(2);

/** Room for a start of Bun in software emulation on a busy machine (ms). */
const SLOW = ["x-cpr-preflight-timeout=90000", "x-cpr-commit-timeout=90000"];

const vm = await LinuxVm.start({ kernel, initrd, cpus, memory });
for (let i = 0; i < Number(updates); i++) {
  await vm.ticks(2);
  await vm.set(...SLOW);
  await vm.update();
}
await vm.ticks(3);
process.stdout.write(JSON.stringify(await vm.powerOff()));
process.exit(0);
