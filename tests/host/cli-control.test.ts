import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Bench, HAS_KVM, until, VMM } from "./cli-harness.ts";

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

const status = async () => (await bench.json("status")).status;
const lastTick = (text: string) => Number(text.match(/tick (\d+) (?!.*tick \d+ )/s)?.[1] ?? -1);

/** What the console has shown so far. */
async function history(): Promise<string> {
  const client = Bun.spawn([...VMM, "console"], {
    env: bench.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const reader = client.stdout.getReader();
  let text = "";
  while (!/tick \d+ .*\n/.test(text)) {
    const { value, done } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  client.kill();
  await client.exited;
  return text;
}

describe.skipIf(!HAS_KVM)("control of a running VM (needs /dev/kvm)", () => {
  test("stop holds the guest, cont lets it go on, reset begins it anew", async () => {
    await bench.start("a");
    expect((await bench.vmm("stop")).stdout).toBe('VM "a" is paused.\n');
    expect(await status()).toBe("paused");
    const held = lastTick(await history());
    expect(lastTick(await history())).toBe(held);
    expect((await bench.vmm("cont")).stdout).toBe('VM "a" runs.\n');
    expect(await status()).toBe("running");
    await until("the guest ticks on", async () => lastTick(await history()) > held);
    expect((await bench.vmm("reset")).exitCode).toBe(0);
    await until("it began anew", async () => (await history()).split("tick 0 ").length > 2);
  });

  test("qmp sends commands with arguments, and passes errors on", async () => {
    await bench.start("a");
    const asked = await bench.vmm("qmp", "query-status");
    expect(JSON.parse(asked.stdout)).toMatchObject({ status: "running", running: true });
    expect((await bench.vmm("qmp", "a", "migrate-set-parameters", "mode=cpr-exec")).exitCode).toBe(0);
    expect(JSON.parse((await bench.vmm("qmp", "a", "query-migrate-parameters")).stdout)).toMatchObject({
      mode: "cpr-exec",
    });
    const unknown = await bench.vmm("qmp", "a", "no-such-command");
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toMatch(/^vmm: no-such-command: [^\n]+\n$/);
    const session = await bench.run(["qmp", "a"], "query-name\nstop\n");
    expect(session.stdout).toContain('"name": "a"');
    expect(session.stdout).toContain('"event":"STOP"');
  });

  test("the console shows what was before, takes input, and ends with the VM", async () => {
    await bench.start("a");
    await until("three ticks", async () => lastTick(await history()) >= 3);
    const client = Bun.spawn([...VMM, "console"], {
      env: bench.env,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    client.stdin.write("x");
    client.stdin.flush();
    const reader = client.stdout.getReader();
    let text = "";
    while (!text.includes("input x")) text += new TextDecoder().decode((await reader.read()).value);
    expect(text).toStartWith("tick 0 ");
    await bench.vmm("quit");
    await client.exited;
    expect(client.exitCode).toBe(0);
    expect(await client.stderr.text()).toContain('VM "a" has ended');
  });

  test("the guest's own power-off ends the VM, and powerdown --wait tells when it does not", async () => {
    await bench.start("a");
    const waited = await bench.vmm("powerdown", "--wait", "0.2");
    expect(waited).toMatchObject({ exitCode: 1, stderr: 'vmm: the VM "a" has not ended within 0.2 s\n' });
    const client = await bench.run(["console"], "q");
    expect(client.exitCode).toBe(0);
    expect(bench.folders()).toEqual([]);
  });
});
