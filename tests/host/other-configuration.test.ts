/** A new VMM that was given another configuration than the VMM before: what does not fit the guest must not lose it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm } from "./lib/vm.ts";

let vm: TestVm;
let secret: number;
let text: string;
beforeEach(async () => {
  vm = await TestVm.start();
  ({ secret } = vm.heartbeat());
  text = readFileSync(vm.paths.config, "utf8");
});
afterEach(() => vm?.[Symbol.asyncDispose]());

interface Config {
  readonly memory: Record<string, unknown>;
  readonly machine: Record<string, unknown>;
  chardevs: readonly Record<string, unknown>[];
}

/** Changes the configuration that the next VMM reads. */
function change(how: (config: Config) => void): void {
  const config = JSON.parse(text) as Config;
  how(config);
  writeFileSync(vm.paths.config, JSON.stringify(config));
}

/** With the configuration as it was, an update works. */
async function expectHealthy(): Promise<void> {
  await vm.isWell(secret);
  writeFileSync(vm.paths.config, text);
  expect((await update(vm, { preflight: true })).status).toBe("completed");
  await vm.isWell(secret);
}

describe.skipIf(!HAS_KVM)("memory that is not the guest's (needs /dev/kvm)", () => {
  test.each<readonly [string, Partial<Config>]>([
    ["with share=off it would be made anew", { memory: { share: false } }],
    ["with share=off it would be made anew", { memory: { share: false, backend: "ram" } }],
    ["brought no file for it", { memory: { id: "ram1" } }],
    ["brought a file of 32M for it", { memory: { size: 64 << 20 } }],
    ['"pc.rom"', { machine: { auxRamShare: false } }],
  ])(
    "%s: is found by the preflight, and after the exec is a reason to go back",
    async (why, other) => {
      change((config) => {
        Object.assign(config.memory, other.memory);
        Object.assign(config.machine, other.machine);
      });
      for (const mode of ["cpr-exec", "cpr-transfer"]) {
        for (const preflight of [true, false]) {
          const { status, reason, pidBefore, pidAfter } = await update(vm, { mode, preflight });
          expect([status, pidAfter]).toEqual([
            preflight && mode === "cpr-exec" ? "refused" : "failed",
            pidBefore,
          ]);
          expect(reason).toContain(why);
          await vm.isWell(secret);
        }
      }
      await expectHealthy();
    },
    60_000,
  );
});

describe.skipIf(!HAS_KVM)("a chardev that cannot be opened (needs /dev/kvm)", () => {
  test.each(["cpr-exec", "cpr-transfer"])("is what the guest runs on without, after %s", async (mode) => {
    const path = `${vm.runtime}/gone/serial`;
    change((config) => {
      config.chardevs = config.chardevs.map(({ id }) => ({ id, backend: "file", path }));
    });
    expect((await update(vm, { mode, preflight: true })).status).toBe("completed");
    await vm.isWell(secret);
    expect(readFileSync(vm.paths.log, "utf8")).toContain(
      'vmm: the guest runs on without chardev "serial0": chardev serial0: open',
    );
    expect(await vm.execute("query-chardev")).toMatchObject([{ filename: "null" }]);
    await expectHealthy();
  });
});
