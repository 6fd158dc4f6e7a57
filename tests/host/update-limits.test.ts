/** A new program whose limits are too low to run the guest: found out while there is a way back. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { processesWith } from "./lib/proc.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm, until } from "./lib/vm.ts";

const PRLIMIT = Bun.which("prlimit");
const SETPRIV = Bun.which("setpriv");
const LOCKING_DEVICE = join(import.meta.dir, "programs/locking-device.ts");
const NEEDED = "more open files are needed to run the guest";
const LOCKED = "locked, and this command may lock 64K: raise the limit (ulimit -l)";
/** From too few to start at all, to enough. */
const LIMITS = [9, 12, 14, 15, 16, 17, 18, 19, 20, 22, 24, 28, 32, 40];

let vm: TestVm;

describe.skipIf(!HAS_KVM || !PRLIMIT)("a limit of open files (needs /dev/kvm and prlimit)", () => {
  beforeEach(async () => {
    vm = await TestVm.start();
  });
  afterEach(() => vm[Symbol.asyncDispose]());

  const limited = async (files: number) => [
    PRLIMIT as string,
    `--nofile=${files}:${files}`,
    ...(await vm.command()),
  ];

  test("is told by the preflight", async () => {
    const { status, reason } = await update(vm, { command: await limited(22), preflight: true });
    expect({ status, reason }).toEqual({ status: "refused", reason: expect.stringContaining(NEEDED) });
  });

  test("however low costs no guest", async () => {
    const first = vm.heartbeat();
    for (const files of LIMITS) {
      const { pidBefore, pidAfter, status } = await update(vm, { command: await limited(files) });
      const at = `${files} files, ${status}`;
      const before = vm.heartbeat();
      await until(`the guest to count (${at})`, () => vm.heartbeat().counts[0] !== before.counts[0]);
      const { secret, fault } = vm.heartbeat();
      expect({ at, secret, fault }).toEqual({ at, secret: first.secret, fault: "none" });
      expect(await vm.execute("query-status")).toMatchObject({ status: "running" });
      await until(`what helped to be gone (${at})`, () =>
        processesWith("XDG_RUNTIME_DIR", vm.runtime).every((pid) => pid === pidAfter),
      );
      expect(pidBefore).toBeGreaterThan(0);
    }
  }, 120_000);
});

describe.skipIf(!HAS_KVM || !PRLIMIT || !SETPRIV || process.getuid?.() !== 0)(
  "a limit of locked memory (needs /dev/kvm, prlimit, and root with setpriv)",
  () => {
    beforeEach(async () => {
      vm = await TestVm.start({ args: ["--plugin", LOCKING_DEVICE, "--device", "locking,id=lock0"] });
    });
    afterEach(() => vm[Symbol.asyncDispose]());

    /** Without the capability that lets root lock as much as it likes. */
    const limited = async (bytes: number) => [
      ...[PRLIMIT as string, `--memlock=${bytes}:${bytes}`],
      ...[SETPRIV as string, "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", ...(await vm.command())],
    ];

    test.each(["cpr-exec", "cpr-transfer"])("is told before the stop of a %s", async (mode) => {
      const { secret } = vm.heartbeat();
      const low = await update(vm, { mode, command: await limited(1 << 16), preflight: true });
      expect(low).toMatchObject({ reason: expect.stringContaining(LOCKED) });
      expect(low.info["x-downtime-ns"]).toBeUndefined();
      await vm.isWell(secret);
      const { status, reason } = await update(vm, { mode, command: await limited(1 << 22), preflight: true });
      expect({ status, reason }).toEqual({ status: "completed", reason: "" });
      await vm.isWell(secret);
    });
  },
);
