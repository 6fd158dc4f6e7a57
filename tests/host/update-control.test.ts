/** Who tells a VM something while its guest is on the way to the next program: it is refused, or heard in the end. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { SCHED_OTHER, SCHED_RESET_ON_FORK, schedulingPolicy } from "@vmm/libc";
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { childrenOf, commandLineOf } from "./lib/proc.ts";
import { type UpdateRequest, type UpdateResult, update } from "./lib/update.ts";
import { HAS_KVM, TestVm, until } from "./lib/vm.ts";

const LIMIT_MS = 60_000;
const NOT_YET = "Migration is not finalized yet";
/** What lets the guest run, or changes it. */
const COMMANDS = ["cont", "stop", "system_reset", "system_powerdown"];
const PAUSE = { capability: "pause-before-switchover", state: true };

let vm: TestVm;
afterEach(() => vm?.[Symbol.asyncDispose]());

const statusOf = async (qmp: QmpClient) =>
  ((await qmp.execute("query-migrate")) as { status?: string }).status;

const reached = (qmp: QmpClient, status: string) =>
  until(`the migration is at ${status}`, async () => (await statusOf(qmp)) === status);

async function expectRefusals(qmp: QmpClient): Promise<void> {
  for (const command of COMMANDS) await expect(qmp.execute(command)).rejects.toThrow(NOT_YET);
  expect(await qmp.execute("query-status")).toEqual({ status: "finish-migrate", running: false });
}

const allEnded = async () => {
  await until("every process of the VM has ended", () => vm.processes().length === 0, 20_000);
  expect(readdirSync(`${vm.runtime}/vmm`)).toEqual([]);
};

/** Stands at the point where the successor is about to get the state, and cannot take it. */
async function beginTransfer(): Promise<{ qmp: QmpClient; source: number; successor: number }> {
  const source = await vm.pid();
  const qmp = await vm.qmp();
  await qmp.execute("migrate-set-parameters", { mode: "cpr-transfer" });
  await qmp.execute("migrate-set-capabilities", { capabilities: [PAUSE] });
  await qmp.execute("migrate");
  await reached(qmp, "pre-switchover");
  const successor = vm.processes().find((pid) => pid !== source) as number;
  process.kill(successor, "SIGSTOP");
  await qmp.execute("migrate-continue", { state: "pre-switchover" });
  await reached(qmp, "device");
  return { qmp, source, successor };
}

/** A cpr-exec to a program that waits to be told where the guest's state is, while agents run the guest. */
async function execDeferred(): Promise<{ qmp: QmpClient; pid: number }> {
  const pid = await vm.pid();
  const first = await vm.qmp();
  const command = [...(await vm.command()), "--incoming", "defer"];
  await first.execute("migrate-set-parameters", { mode: "cpr-exec", "cpr-exec-command": command });
  await first.execute("migrate", { "x-preflight": false });
  await first.closed;
  return { qmp: await vm.qmp(), pid };
}

describe.skipIf(!HAS_KVM)("a guest that is on its way (needs /dev/kvm)", () => {
  test.each([
    ["cpr-exec", undefined],
    ["cpr-reboot", "saved"],
    ["normal", "saved"],
  ])("is not let go on, stopped or reset in %s", async (mode, file) => {
    vm = await TestVm.start();
    const { secret } = vm.heartbeat();
    const result = await update(vm, {
      mode,
      ...(file && { uri: `file:${vm.runtime}/${file}` }),
      capabilities: [PAUSE.capability],
      async meanwhile(qmp) {
        await reached(qmp, "pre-switchover");
        const { counts } = vm.heartbeat();
        await expectRefusals(qmp);
        expect(vm.heartbeat().counts).toEqual(counts);
        await qmp.execute("migrate-continue", { state: "pre-switchover" });
      },
    });
    expect(result).toMatchObject({ status: "completed", reason: "" });
    // the source of a copy has its guest again
    if (file) await vm.execute("cont");
    await vm.isWell(secret);
  });

  test("is let go on again where the update is cancelled", async () => {
    vm = await TestVm.start();
    const { secret } = vm.heartbeat();
    const { status } = await update(vm, {
      capabilities: [PAUSE.capability],
      async meanwhile(qmp) {
        await reached(qmp, "pre-switchover");
        await expectRefusals(qmp);
        await qmp.execute("migrate_cancel");
      },
    });
    expect(status).toBe("cancelled");
    for (const command of ["stop", "cont"]) await vm.execute(command);
    await vm.isWell(secret);
  });

  test("is not run, stopped or reset by the source of a transfer while the successor may run it", async () => {
    vm = await TestVm.start();
    const { secret } = vm.heartbeat();
    const { qmp, source, successor } = await beginTransfer();
    await expectRefusals(qmp);
    process.kill(successor, "SIGCONT");
    await qmp.closed;
    expect(await vm.pid()).toBe(successor);
    await vm.isWell(secret);
    await until("the source has ended", () => !vm.processes().includes(source));
  });

  test("is waited for by a source that comes before nobody else", async () => {
    vm = await TestVm.start();
    const { successor, source } = await beginTransfer();
    expect(schedulingPolicy(source) & ~SCHED_RESET_ON_FORK).toBe(SCHED_OTHER);
    process.kill(successor, "SIGCONT");
    await until("the source has ended", () => !vm.processes().includes(source));
  });

  test(
    "is not run twice, however often the source of a transfer is told to",
    async () => {
      vm = await TestVm.start();
      const { secret } = vm.heartbeat();
      for (let i = 0; i < 3; i++) {
        const qmp = await vm.qmp();
        let open = true;
        void qmp.closed.then(() => {
          open = false;
        });
        const refused = new Set<string>();
        const flood = async () => {
          while (open) {
            const conts = Array.from({ length: 20 }, () => qmp.execute("cont"));
            for (const { reason } of (await Promise.allSettled(conts)) as { reason?: Error }[])
              if (reason) refused.add(reason.message);
          }
        };
        let flooding: Promise<void> | undefined;
        const result = await update(vm, {
          mode: "cpr-transfer",
          meanwhile: () => {
            flooding = flood();
          },
        });
        expect(result).toMatchObject({ status: "completed", reason: "" });
        expect(result.pidAfter).not.toBe(result.pidBefore);
        qmp.close();
        await flooding;
        await vm.isWell(secret);
        expect(vm.processes()).toContain(result.pidAfter);
        await until("the source has ended", () => !vm.processes().includes(result.pidBefore));
      }
    },
    LIMIT_MS,
  );
});

describe.skipIf(!HAS_KVM)("the end of a VM (needs /dev/kvm)", () => {
  test("that the source of a transfer is told of too late comes to the successor", async () => {
    vm = await TestVm.start();
    const { source, successor } = await beginTransfer();
    // the signal waits there: whose the guest is will only be known later
    process.kill(source, "SIGTERM");
    process.kill(successor, "SIGCONT");
    await allEnded();
  });

  test("by quit is the end of a transfer that is on its way, and of its successor", async () => {
    vm = await TestVm.start();
    const { qmp, successor } = await beginTransfer();
    expect(await qmp.execute("quit")).toEqual({});
    await until("the source has ended", () => vm.processes().every((pid) => pid === successor));
    await allEnded();
  });

  test.each(["quit", "SIGTERM"])("by %s is that of a guest that waits to be taken over", async (how) => {
    vm = await TestVm.start();
    const { qmp, pid } = await execDeferred();
    expect(await qmp.execute("query-status")).toEqual({ status: "inmigrate", running: false });
    if (how === "quit") expect(await qmp.execute("quit")).toEqual({});
    else process.kill(pid, "SIGTERM");
    await allEnded();
  });
});

describe.skipIf(!HAS_KVM)("the next update (needs /dev/kvm)", () => {
  const stopKeeper = (pid: number) => {
    for (const child of childrenOf(pid))
      if (commandLineOf(child).at(-1) === "keeper") process.kill(child, "SIGSTOP");
  };

  /** An update whose keeper stands still from the exec on. */
  async function updateWithStoppedKeeper(): Promise<UpdateResult> {
    const [at, go] = [`${vm.runtime}/at`, `${vm.runtime}/go`];
    const script = `: > ${at}; until [ -e ${go} ]; do sleep 0.01; done; exec "$@"`;
    const request: UpdateRequest = {
      command: ["/bin/sh", "-c", script, "sh", ...(await vm.command())],
      async meanwhile(_qmp, pid) {
        await until("the new program runs", () => existsSync(at));
        stopKeeper(pid);
        writeFileSync(go, "");
      },
    };
    return update(vm, request);
  }

  test("comes after all that is left of the one before, also where that does not go by itself", async () => {
    vm = await TestVm.start();
    const { secret } = vm.heartbeat();
    const { status, pidAfter } = await updateWithStoppedKeeper();
    expect(status).toBe("completed");
    expect(childrenOf(pidAfter)).not.toEqual([]);
    expect(await update(vm)).toMatchObject({ status: "completed", reason: "" });
    await vm.isWell(secret);
    await until("nothing is left of both", () => childrenOf(pidAfter).length === 0);
    expect(vm.processes()).toEqual([pidAfter]);
  });

  test("and the end of the VM as well", async () => {
    vm = await TestVm.start();
    await updateWithStoppedKeeper();
    await vm.execute("quit");
    await allEnded();
  });
});
