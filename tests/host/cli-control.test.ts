import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Bench, ConsoleWatch, HAS_KVM, until } from "./cli-harness.ts";

setDefaultTimeout(60_000);

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

const status = async () => (await bench.json("status")).status;

describe.skipIf(!HAS_KVM)("control of a running VM (needs /dev/kvm)", () => {
  test("stop holds the guest, cont lets it go on, reset begins it anew", async () => {
    await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    await console.more(2);
    expect((await bench.vmm("stop")).stdout).toBe('VM "a" is paused.\n');
    expect(await status()).toBe("paused");
    const held = console.ticks.length;
    for (let i = 0; i < 5; i++) await status();
    expect(console.ticks.length - held).toBeLessThanOrEqual(1);
    expect((await bench.vmm("cont")).stdout).toBe('VM "a" runs.\n');
    expect(await status()).toBe("running");
    await console.more(2);
    const before = console.ticks;
    expect(before).toEqual(before.map((_, i) => i));
    expect((await bench.vmm("reset")).exitCode).toBe(0);
    await until("it begins anew", () => console.ticks.lastIndexOf(0) > 0);
    await console.close();
  });

  test("qmp sends commands with arguments, and passes errors on", async () => {
    await bench.start("a");
    const asked = await bench.vmm("qmp", "query-status");
    expect(JSON.parse(asked.stdout)).toMatchObject({ status: "running", running: true });
    expect((await bench.vmm("qmp", "a", "migrate-set-parameters", "mode=cpr-exec")).exitCode).toBe(0);
    const parameters = await bench.vmm("qmp", "a", "query-migrate-parameters");
    expect(JSON.parse(parameters.stdout)).toMatchObject({ mode: "cpr-exec" });
    const unknown = await bench.vmm("qmp", "a", "no-such-command");
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toMatch(/^vmm: no-such-command: [^\n]+\n$/);
    const session = await bench.run(["qmp", "a"], "query-name\nstop\n");
    expect(session.stdout).toContain('"name": "a"');
    expect(session.stdout).toContain('"event":"STOP"');
  });

  test("the console shows what was before, takes input, and ends with the VM", async () => {
    await bench.start("a");
    const first = new ConsoleWatch(bench, "a");
    await first.more(3);
    const second = new ConsoleWatch(bench, "a");
    await second.more(3);
    expect(second.ticks[0]).toBe(0);
    second.type("x");
    for (const console of [first, second]) {
      await until("both see the echo", () => console.text.includes("input x"));
    }
    await bench.vmm("quit");
    for (const console of [first, second]) {
      expect(await console.ended()).toEqual({ exitCode: 0, stderr: '[vmm: VM "a" has ended]\n' });
    }
  });

  test("the guest's own power-off ends the VM and leaves nothing", async () => {
    await bench.start("a");
    const { exitCode } = await bench.run(["console"], "q");
    expect(exitCode).toBe(0);
    await until("all is gone", () => bench.folders().length === 0 && bench.processes().length === 0);
  });

  test("powerdown --wait returns when the VM has ended, or says that it has not", async () => {
    await bench.start("a");
    await bench.vmm("stop");
    const stubborn = await bench.vmm("powerdown", "--wait", "0.2");
    expect(stubborn).toMatchObject({ exitCode: 1, stderr: 'vmm: the VM "a" has not ended within 0.2 s\n' });
    // The button stays pressed until the guest looks.
    await bench.vmm("cont");
    await until("the guest has heard it", () => bench.folders().length === 0);
    await bench.start("b");
    expect(await bench.vmm("powerdown", "--wait", "20")).toMatchObject({ exitCode: 0, stderr: "" });
    expect(bench.folders()).toEqual([]);
  });
});
