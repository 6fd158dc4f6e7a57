/** Signals that end a VM, while it is updated and after it was. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { withFault } from "./lib/fault/row.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm, until, VMM } from "./lib/vm.ts";

let vm: TestVm;
afterEach(() => vm?.[Symbol.asyncDispose]());

const gone = async () => {
  await until("every process of the VM has ended", () => vm.processes().length === 0, 20_000);
  expect(readdirSync(`${vm.runtime}/vmm`)).toEqual([]);
};

describe.skipIf(!HAS_KVM)("SIGTERM (needs /dev/kvm)", () => {
  test.each([0, 5, 10, 20, 40, 80, 150])(
    "%d ms after an update has begun ends the VM in order",
    async (ms) => {
      vm = await TestVm.start();
      const pid = await vm.pid();
      const updating = update(vm, {
        preflight: ms % 20 === 0,
        async meanwhile() {
          await Bun.sleep(ms);
          process.kill(pid, "SIGTERM");
        },
        timeoutMs: 1500,
      });
      // it ends as it may: nobody is there any more to ask
      await updating.catch(() => {});
      await gone();
    },
  );

  test("comes to the new VMM where it is sent during the exec", async () => {
    vm = await TestVm.start();
    const pid = await vm.pid();
    const sign = `${vm.runtime}/exec`;
    const command = ["/bin/sh", "-c", `: > ${sign}; exec "$@"`, "sh", ...(await vm.command())];
    const updating = update(vm, {
      command,
      async meanwhile() {
        await until("the new program runs", () => existsSync(sign));
        process.kill(pid, "SIGTERM");
      },
      timeoutMs: 1500,
    });
    await updating.catch(() => {});
    await gone();
  });
});

describe.skipIf(!HAS_KVM)("a new VMM whose control does not start (needs /dev/kvm)", () => {
  test("runs the guest all the same, until a signal ends it", async () => {
    vm = await TestVm.start();
    const pid = await vm.pid();
    const command = withFault("start-control:throw", await vm.command());
    const qmp = await vm.qmp();
    await qmp.execute("migrate-set-parameters", { mode: "cpr-exec", "cpr-exec-command": command });
    await qmp.execute("migrate", { "x-preflight": false });
    await qmp.closed;
    const told = () => readFileSync(vm.paths.log, "utf8").includes("only signals end it");
    await until("the log tells of it", told);
    const before = vm.heartbeat();
    await until("the guest counts", () => vm.heartbeat().counts[0] !== before.counts[0]);
    expect(vm.heartbeat()).toMatchObject({ secret: before.secret, fault: "none" });
    process.kill(pid, "SIGTERM");
    await until("it has ended", () => vm.processes().length === 0);
  });
});

describe.skipIf(!HAS_KVM)("SIGTERM while RAM is copied to a file (needs /dev/kvm)", () => {
  test("takes the copy back, and ends the VM", async () => {
    vm = await TestVm.start({ memory: "1G" });
    const file = `${vm.runtime}/state`;
    // pages that hold something are copied
    vm.ram.fill(64 << 20, 1 << 30);
    const qmp = await vm.qmp();
    await qmp.execute("migrate-set-parameters", { mode: "cpr-reboot" });
    await qmp.execute("migrate", { uri: `file:${file}` });
    const copied = async () => {
      const { ram } = (await qmp.execute("query-migrate")) as { ram?: { transferred: number } };
      return (ram?.transferred ?? 0) > 1 << 20;
    };
    await until("some is copied", copied);
    process.kill(await vm.pid(), "SIGTERM");
    await qmp.closed;
    await gone();
    expect(readdirSync(vm.runtime)).toEqual(["vmm"]);
  }, 60_000);
});

/** `script` gives a command a terminal of its own, as a user's shell does. */
const HAS_SCRIPT = Bun.which("script") !== null;
const CTRL_C = "\x03";

/** A VM in the foreground of a terminal. */
class TerminalVm extends TestVm {
  #terminal: Bun.Subprocess<"pipe", "pipe", "inherit"> | undefined;
  #copied: Promise<void> = Promise.resolve();
  text = "";

  static async open(): Promise<TerminalVm> {
    const terminal = new TerminalVm({});
    const words = [
      ...VMM,
      "start",
      "--foreground",
      "--name",
      terminal.name,
      "--guest",
      "heartbeat",
      "--memory",
      "32M",
    ];
    // dash, a shell that may be there, stays as the parent of a command that it was not told to exec
    const command = ["exec", ...words, "--serial", "stdio"].join(" ");
    const child = Bun.spawn(["script", "-q", "-e", "-c", command, "/dev/null"], {
      env: terminal.env,
      stdio: ["pipe", "pipe", "inherit"],
    });
    terminal.#terminal = child;
    terminal.#copied = terminal.#copy(child.stdout);
    await terminal.ticks(1);
    await terminal.attachRam();
    return terminal;
  }

  async #copy(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const bytes of stream) this.text += new TextDecoder().decode(bytes);
  }

  ticks(more: number): Promise<void> {
    const count = () => this.text.match(/^tick \d+ /gm)?.length ?? 0;
    const before = count();
    return until("the guest ticks on the terminal", () => count() >= before + more, 20_000);
  }

  type(text: string): void {
    this.#terminal?.stdin.write(text);
    this.#terminal?.stdin.flush();
  }

  /** The command's exit status. */
  async exited(): Promise<number> {
    const status = (await this.#terminal?.exited) ?? -1;
    await this.#copied;
    return status;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#terminal?.kill("SIGKILL");
    await super[Symbol.asyncDispose]();
  }
}

describe.skipIf(!HAS_KVM || !HAS_SCRIPT)("Ctrl-C in a terminal (needs /dev/kvm and script)", () => {
  test.each([0, 2])("ends a VM in the foreground in order, after %d updates", async (updates) => {
    const terminal = await TerminalVm.open();
    vm = terminal;
    const { secret } = terminal.heartbeat();
    for (let i = 0; i < updates; i++) {
      expect((await update(terminal)).status).toBe("completed");
      await terminal.isWell(secret);
      await terminal.ticks(1);
    }
    terminal.type(CTRL_C);
    expect(await terminal.exited()).toBe(0);
    await gone();
    const numbers = [...terminal.text.matchAll(/^tick (\d+) /gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(numbers.map((_, i) => i));
  });
});
