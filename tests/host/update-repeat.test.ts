/** Updates in a row, and what goes on meanwhile: clients, typing, signals, resets. */
import { afterEach, describe, expect, test } from "bun:test";
import { HEARTBEAT_KEYS } from "@vmm/vmm/boot/heartbeat/map.ts";
import { ConsoleClient, tickProblems } from "./lib/console.ts";
import { openFdsOf, statusValue } from "./lib/proc.ts";
import { compareSnapshots, settledSnapshot } from "./lib/snapshot.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm, type TestVmOptions, until } from "./lib/vm.ts";

const UPDATES = 20;
const LIMIT_MS = 120_000;
/** A process that was just started has not yet given back what it needed only for that. */
const RSS_NOISE_KB = 12_000;

let vm: TestVm;
const start = async (options?: TestVmOptions) => {
  vm = await TestVm.start(options);
  return vm;
};
afterEach(() => vm?.[Symbol.asyncDispose]());

async function mustUpdate(): Promise<number> {
  const { status, reason, pidBefore, pidAfter } = await update(vm);
  expect({ status, reason, pidAfter }).toEqual({ status: "completed", reason: "", pidAfter: pidBefore });
  return pidAfter;
}

/** The fds that are handed on: by what they are, with their numbers. */
const handedOn = (pid: number) =>
  openFdsOf(pid)
    .filter(({ link }) => /^\/memfd:|\/lock$/.test(link))
    .map(({ fd, identity }) => `${fd} ${identity}`);

describe.skipIf(!HAS_KVM)("updates in a row (needs /dev/kvm)", () => {
  test(
    "leave no fd, no memory and no process, and a console all along loses no line",
    async () => {
      await start();
      const { secret } = vm.heartbeat();
      await using console = new ConsoleClient(vm);
      await console.more();
      const pid = await mustUpdate();
      await console.more();
      const first = await settledSnapshot(vm, pid);
      const firstRss = statusValue(pid, "VmRSS");
      for (let i = 1; i < UPDATES; i++) await mustUpdate();
      await console.more(2);
      const last = await settledSnapshot(vm, pid);
      expect(compareSnapshots(first, last)).toEqual([]);
      expect(statusValue(pid, "VmRSS")).toBeLessThan(firstRss + RSS_NOISE_KB);
      await vm.isWell(secret);
      expect(tickProblems(console.ticks())).toEqual([]);
      expect(console.ticks()[0]?.number).toBe(0);
      expect(console.notes).toBe("");
    },
    LIMIT_MS,
  );

  test("find what is handed on under the number that it had", async () => {
    await start();
    const first = handedOn(await vm.pid());
    expect(first).toHaveLength(3);
    for (let i = 0; i < 3; i++) expect(handedOn(await mustUpdate())).toEqual(expect.arrayContaining(first));
  });

  test("take four vCPUs along", async () => {
    await start({ cpus: 4, memory: "64M" });
    const { secret } = vm.heartbeat();
    await until("all vCPUs count", () => vm.heartbeat().started === 3);
    for (let i = 0; i < 3; i++) {
      await mustUpdate();
      await vm.isWell(secret, 20_000);
    }
  });

  test("leave a guest paused that was", async () => {
    await start();
    const { secret } = vm.heartbeat();
    await vm.execute("stop");
    const { counts } = vm.heartbeat();
    for (let i = 0; i < 2; i++) await mustUpdate();
    expect(await vm.execute("query-status")).toMatchObject({ status: "paused", running: false });
    expect(vm.heartbeat().counts).toEqual(counts);
    await vm.execute("cont");
    await vm.isWell(secret);
  });

  test("are followed by a reset that works", async () => {
    await start();
    await using console = new ConsoleClient(vm);
    await console.more(3);
    const before = vm.heartbeat();
    await mustUpdate();
    await vm.execute("system_reset");
    await until("the guest begins anew", () => vm.heartbeat().ticks < before.ticks);
    await until("it ticks", () => vm.heartbeat().ticks > 1);
    await mustUpdate();
    await vm.isWell(vm.heartbeat().secret);
    // the reset may have come in the middle of a line
    expect(console.text.match(/tick 0 count/g)).toHaveLength(2);
  });
});

describe.skipIf(!HAS_KVM)("while updates go on (needs /dev/kvm)", () => {
  test(
    "nothing that is typed is lost or comes twice",
    async () => {
      await start();
      await using console = new ConsoleClient(vm);
      await console.more();
      // no letter that is a command to the guest; few enough for the FIFO of a UART whose guest looks 5 times a second
      const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
      let typed = "";
      let on = true;
      const typing = (async () => {
        while (on) {
          const letter = letters[typed.length % letters.length] as string;
          console.type(letter);
          typed += letter;
          await Bun.sleep(40);
        }
      })();
      for (let i = 0; i < 5; i++) {
        await mustUpdate();
        await console.more();
      }
      on = false;
      await typing;
      const echo = () =>
        console
          .ticks()
          .map(({ input }) => input)
          .join("");
      await until("all is echoed", () => echo().length >= typed.length, 20_000);
      await console.more();
      expect(echo()).toBe(typed);
      expect(tickProblems(console.ticks())).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "a reset or a power-off that the guest asks for is never lost",
    async () => {
      await start();
      await using console = new ConsoleClient(vm);
      await console.more();
      for (let i = 0; i < 8; i++) {
        const { secret } = vm.heartbeat();
        console.type(HEARTBEAT_KEYS.reset);
        // the guest looks 5 times a second: the update meets its request at another moment each time
        await Bun.sleep(25 * i);
        await update(vm);
        await until("the guest has begun anew", () => ![0, secret].includes(vm.heartbeat().secret), 20_000);
        await console.more();
      }
      console.type(HEARTBEAT_KEYS.powerOff);
      await Bun.sleep(100);
      await update(vm, { timeoutMs: 3000 }).catch(() => {});
      await until("the VM has ended", () => vm.processes().length === 0, 20_000);
    },
    LIMIT_MS,
  );

  test("clients of QMP see their connection end, and are served again at once", async () => {
    await start();
    const clients = await Promise.all([vm.qmp(), vm.qmp(), vm.qmp()]);
    const events: string[] = [];
    clients[0]?.onEvent(({ event, data }) => events.push(data?.status ? `${event} ${data.status}` : event));
    const updating = update(vm, { capabilities: ["events"] });
    await Promise.all(clients.map((client) => client.closed));
    expect((await updating).status).toBe("completed");
    expect(events.filter((event) => event.startsWith("MIGRATION"))).toEqual([
      "MIGRATION setup",
      "MIGRATION active",
      "MIGRATION device",
      "MIGRATION completed",
    ]);
    expect(await vm.execute("query-status")).toMatchObject({ status: "running" });
  });

  test("a client that connects in their midst waits and is served", async () => {
    await start();
    let answers = 0;
    let on = true;
    const asking = (async () => {
      while (on) {
        // an exec may cut the connection before the answer; it never refuses one
        await vm
          .execute("query-status")
          .catch((error) => expect(String(error)).not.toContain("ECONNREFUSED"));
        answers++;
      }
    })();
    for (let i = 0; i < 4; i++) await mustUpdate();
    on = false;
    await asking;
    expect(answers).toBeGreaterThan(0);
  });
});
