/** The old VMM that runs again finds what it had around it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, readlinkSync } from "node:fs";
import { withFault } from "./lib/fault/row.ts";
import { environmentOf } from "./lib/proc.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm } from "./lib/vm.ts";

let vm: TestVm;
let command: string[];
let secret: number;
beforeEach(async () => {
  vm = await TestVm.start();
  command = await vm.command();
  ({ secret } = vm.heartbeat());
});
afterEach(() => vm?.[Symbol.asyncDispose]());

/** A wrapper that does something once the old VMM is gone, and then becomes the new one. */
const wrapped = (script: string, words: readonly string[] = command) => [
  ...["/bin/sh", "-c", `[ -n "$VMM_CPR_EXEC_STATE" ] && { ${script}; }; exec "$@"`, "sh"],
  ...words,
];

/** How the kernel sees what is around a process, but for the number by which it was told of its state. */
const around = (pid: number) => ({
  variables: [...environmentOf(pid)].filter(([name]) => name !== "VMM_CPR_EXEC_STATE").sort(),
  limits: readFileSync(`/proc/${pid}/limits`, "utf8"),
  umask: /^Umask:.*/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[0],
  folder: readlinkSync(`/proc/${pid}/cwd`),
});

describe.skipIf(!HAS_KVM)("what a wrapper makes of its surroundings (needs /dev/kvm)", () => {
  for (const [how, fault] of [
    ["by itself", "restore-vm:throw"],
    ["by the keeper", "restore-vm:kill"],
  ] as const) {
    test(`is not left to the old VMM that runs again ${how}`, async () => {
      // only the first VMM was started by something else than a VMM
      const before = around((await update(vm)).pidAfter);
      const script = `export LEFTOVER=1; ulimit -n 500; umask 0; cd /`;
      const { status, pidAfter } = await update(vm, { command: wrapped(script, withFault(fault, command)) });
      expect(status).toBe("failed");
      await vm.isWell(secret);
      expect(around(pidAfter)).toEqual(before);
    });
  }
});
