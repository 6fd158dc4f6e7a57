/** The old VMM runs again whatever has become of the files that it once read, and finds what it had around it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { withFault } from "./lib/fault/row.ts";
import { childrenOf, environmentOf, isAlive } from "./lib/proc.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm, until } from "./lib/vm.ts";

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

describe.skipIf(!HAS_KVM)("config.json (needs /dev/kvm)", () => {
  for (const [what, change] of [
    ["removed", () => rmSync(vm.paths.config)],
    ["cut short", () => writeFileSync(vm.paths.config, "{")],
  ] as const) {
    test(`that was ${what} makes the update fail, and is not needed to go back`, async () => {
      const text = readFileSync(vm.paths.config);
      change();
      for (let i = 0; i < 2; i++) {
        const { status, reason, pidBefore, pidAfter } = await update(vm);
        expect([status, pidAfter]).toEqual(["failed", pidBefore]);
        expect(reason).toContain(`cannot read the configuration ${vm.paths.config}`);
        await vm.isWell(secret);
      }
      writeFileSync(vm.paths.config, text);
      expect((await update(vm)).status).toBe("completed");
      await vm.isWell(secret);
    });
  }

  test("of another machine, which the new VMM finds after the preflight, is not the old one's", async () => {
    const text = readFileSync(vm.paths.config, "utf8");
    const script = `sed -i 's/"cpus": 1/"cpus": 2/' ${vm.paths.config}`;
    const { status, reason } = await update(vm, { command: wrapped(script), preflight: true });
    expect([status, readFileSync(vm.paths.config, "utf8") === text]).toEqual(["failed", false]);
    expect(reason).not.toContain("the old VMM");
    await vm.isWell(secret);
    expect(await vm.execute("query-cpus-fast")).toHaveLength(1);
  });

  test("is not needed by the keeper", async () => {
    const script = `rm ${vm.paths.config}; kill -9 $$`;
    const { status, pidBefore, pidAfter } = await update(vm, { command: wrapped(script) });
    expect([status, pidBefore === pidAfter]).toEqual(["failed", false]);
    await vm.isWell(secret);
  });
});

describe.skipIf(!HAS_KVM)("the VM's folder (needs /dev/kvm)", () => {
  const begin = async (words: readonly string[]) => {
    const pid = await vm.pid();
    const qmp = await vm.qmp();
    await qmp.execute("migrate-set-parameters", { mode: "cpr-exec", "cpr-exec-command": words });
    await qmp.execute("migrate", { "x-preflight": false });
    qmp.close();
    return pid;
  };
  /** Nobody can be asked by QMP any more: the process has to be looked at. */
  const isSettled = (pid: number) =>
    environmentOf(pid).has("VMM_CPR_EXEC_STATE") &&
    !environmentOf(pid).has("VMM_FAULT") &&
    childrenOf(pid).length === 0;

  test("that was removed makes the new VMM fail, and is not needed to go back", async () => {
    const gone = `rm -r ${vm.paths.folder}; cd /`;
    const pid = await begin(withFault("commit:throw", wrapped(gone)));
    await until("the old VMM runs again", () => isSettled(pid) && around(pid).folder === "/", 20_000);
    await vm.isWell(secret);
    expect(vm.processes()).toEqual([pid]);
  });

  test("is not needed by the keeper", async () => {
    const pid = await begin(wrapped(`rm -r ${vm.paths.folder}`));
    await until("the new VMM has died", () => !isAlive(pid), 20_000);
    await until("the keeper is the VMM", () => vm.processes().length === 1, 20_000);
    const [revived] = vm.processes() as [number];
    await until("it has settled", () => isSettled(revived), 20_000);
    await vm.isWell(secret);
    expect(around(revived).folder).toBe("/");
  });
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
