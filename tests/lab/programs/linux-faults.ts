/**
 * Runs in the lab: starts a Linux guest under vmm, has its updates fail in several ways, updates it well at the end, has
 * the guest power off, and prints what happened as JSON.
 *
 *     bun tests/lab/programs/linux-faults.ts KERNEL INITRD
 */
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandLineOf } from "../../host/lib/proc.ts";
import { FAULTS } from "../lib/faults.ts";
import { LinuxVm } from "./linux-vm.ts";

const [kernel = "", initrd = ""] = process.argv.slice(2);

const garbage = join(mkdtempSync(join(tmpdir(), "vmm-faults-")), "garbage");
writeFileSync(garbage, "\x01\x02 this is no program\n");
chmodSync(garbage, 0o755);

const vm = await LinuxVm.start({ kernel, initrd, cpus: "1", memory: "512M" });
let { pid } = vm;
for (const { fault, preflight = false, timeoutMs = 90_000 } of FAULTS) {
  await vm.ticks(1);
  await vm.set("x-cpr-preflight-timeout=90000", `x-cpr-commit-timeout=${timeoutMs}`);
  const command =
    "program" in fault
      ? [fault.program === "garbage" ? garbage : fault.program]
      : ["/usr/bin/env", `VMM_FAULT=${fault.point}`, ...commandLineOf(pid)];
  const { pidAfter } = await vm.update(...(preflight ? [] : ["--no-preflight"]), "--", ...command);
  if (pidAfter > 0) pid = pidAfter;
  await vm.ticks(1);
}
await vm.set("x-cpr-preflight-timeout=90000", "x-cpr-commit-timeout=90000");
await vm.update();
await vm.ticks(2);
process.stdout.write(JSON.stringify(await vm.powerOff()));
process.exit(0);
