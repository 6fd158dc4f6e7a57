import { describe, expect, test } from "bun:test";
import { error, QmpFixture, type RawClient } from "../../../test/qmp-fixture.ts";

/** Runs a command; the result, or the error. */
async function run(client: RawClient, execute: string, args?: object): Promise<unknown> {
  const answer = await client.ask({ execute, ...(args && { arguments: args }) });
  return "return" in answer ? answer.return : answer;
}

/** As `run`, with an event on the way; the event's data comes first. */
async function runWithEvent(client: RawClient, execute: string): Promise<unknown[]> {
  const event = await client.ask({ execute });
  return [event.event, event.data, (await client.next()).return];
}

describe("commands about the VMM", () => {
  test("query-version, query-name, query-commands", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    expect(await run(client, "query-version")).toEqual({
      qemu: { major: 1, minor: 2, micro: 3 },
      package: "vmm 1.2.3",
    });
    expect(await run(client, "query-name")).toEqual({ name: "test vm" });
    const names = ((await run(client, "query-commands")) as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(
      [
        "cont",
        "getfd",
        "closefd",
        "human-monitor-command",
        "migrate",
        "migrate-continue",
        "migrate-incoming",
        "migrate-set-capabilities",
        "migrate-set-parameters",
        "migrate_cancel",
        "qmp_capabilities",
        "query-chardev",
        "query-commands",
        "query-cpus-fast",
        "query-kvm",
        "query-memory-size-summary",
        "query-migrate",
        "query-migrate-capabilities",
        "query-migrate-parameters",
        "query-name",
        "query-status",
        "query-version",
        "quit",
        "stop",
        "system_powerdown",
        "system_reset",
        "x-cpr-preflight",
      ].sort(),
    );
    // each that is listed is there
    for (const name of names) {
      if (name === "quit") continue;
      const answer = (await run(client, name, { nonsense: 1 })) as { error?: { desc: string } };
      expect(answer.error?.desc).not.toContain("has not been found");
    }
  });
});

describe("commands about the machine", () => {
  test("query-kvm, query-cpus-fast, query-chardev, query-memory-size-summary", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    expect(await run(client, "query-kvm")).toEqual({ enabled: true, present: true });
    expect(await run(client, "query-chardev")).toEqual([
      { label: "serial0", filename: "pty:/dev/pts/0", "frontend-open": true },
    ]);
    expect(await run(client, "query-memory-size-summary")).toEqual({
      "base-memory": 64 << 20,
      "plugged-memory": 0,
    });
    const cpus = (await run(client, "query-cpus-fast")) as unknown[];
    expect(cpus).toHaveLength(2);
    expect(cpus[1]).toEqual({
      "cpu-index": 1,
      "qom-path": "/machine/cpu[1]",
      "thread-id": 102,
      props: { "socket-id": 0, "core-id": 1, "thread-id": 0 },
      target: "x86_64",
    });
  });
});

describe("commands about the run state", () => {
  test("stop and cont, each with its event before the answer", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    expect(await runWithEvent(client, "stop")).toEqual(["STOP", undefined, {}]);
    expect(await run(client, "query-status")).toEqual({ status: "paused", running: false });
    expect(await run(client, "stop")).toEqual({});
    expect(await runWithEvent(client, "cont")).toEqual(["RESUME", undefined, {}]);
    expect(await run(client, "query-status")).toEqual({ status: "running", running: true });
  });

  test("system_reset, system_powerdown and quit", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    const reset = { guest: false, reason: "host-qmp-system-reset" };
    expect(await runWithEvent(client, "system_reset")).toEqual(["RESET", reset, {}]);
    expect(await runWithEvent(client, "system_powerdown")).toEqual(["POWERDOWN", undefined, {}]);
    const quit = { guest: false, reason: "host-qmp-quit" };
    expect(await runWithEvent(client, "quit")).toEqual(["SHUTDOWN", quit, {}]);
    expect(f.host.quits).toHaveLength(1);
  });

  test("what the machine refuses is told by its message", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    f.host.state.set("shutdown");
    expect(await run(client, "cont")).toEqual(error("Resetting the Virtual Machine is required"));
  });
});

describe("commands about migration", () => {
  test("query-migrate says nothing before the first migration, then all there is", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    expect(await run(client, "query-migrate")).toEqual({});
    f.host.migration.current = { status: "none", "blocked-reasons": ["because"] };
    expect(await run(client, "query-migrate")).toEqual({ "blocked-reasons": ["because"] });
    f.host.migration.current = { status: "failed", "error-desc": "why", downtime: 3 };
    expect(await run(client, "query-migrate")).toEqual(f.host.migration.current);
  });

  test("parameters are set and told", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    const command = ["vmm", "start"];
    const change = { mode: "cpr-exec", "cpr-exec-command": command, "x-cpr-commit-timeout": 5000 };
    expect(await run(client, "migrate-set-parameters", change)).toEqual({});
    expect(await run(client, "query-migrate-parameters")).toEqual({
      ...change,
      "x-cpr-preflight-timeout": 10_000,
    });
    expect(await run(client, "migrate-set-parameters", { "x-cpr-commit-timeout": "1" })).toEqual(
      error("Parameter 'x-cpr-commit-timeout' expects uint64"),
    );
    expect(await run(client, "migrate-set-parameters", { "cpr-exec-command": ["a", 5] })).toEqual(
      error("Invalid parameter type for 'cpr-exec-command[1]', expected: string"),
    );
    expect(await run(client, "migrate-set-parameters", { "x-cpr-commit-timeout": 0 })).toMatchObject({
      error: { desc: expect.stringContaining("x-cpr-commit-timeout") },
    });
  });

  test("capabilities are set and told", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    const capabilities = [{ capability: "x-ignore-shared", state: true }];
    expect(await run(client, "migrate-set-capabilities", { capabilities })).toEqual({});
    expect(await run(client, "query-migrate-capabilities")).toEqual([
      { state: false, capability: "events" },
      { state: false, capability: "pause-before-switchover" },
      { state: true, capability: "x-ignore-shared" },
    ]);
  });

  test("migrate hands over a uri or channels; in mode cpr-exec it may have neither", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    const none = error("need either 'uri' or 'channels' argument");
    expect(await run(client, "migrate")).toEqual(none);
    await run(client, "migrate-set-parameters", { mode: "cpr-exec" });
    expect(await run(client, "migrate")).toEqual({});
    expect(await run(client, "migrate", { uri: "file:/x", detach: true, "x-preflight": false })).toEqual({});
    const addr = { transport: "file", filename: "/x", offset: 0 };
    const channels = [{ "channel-type": "main", addr }];
    expect(await run(client, "migrate", { channels })).toEqual({});
    expect(await run(client, "migrate", { uri: "file:/x", channels })).toEqual(none);
    expect(await run(client, "migrate", { uri: "file:/x", channels: [] })).toEqual({});
    expect(f.host.migration.calls).toEqual([
      { migrate: {} },
      { migrate: { uri: "file:/x", preflight: false } },
      { migrate: { channels } },
      { migrate: { uri: "file:/x" } },
    ]);
    await run(client, "migrate-set-parameters", { mode: "normal" });
    expect(await run(client, "migrate", { uri: "file:/x" })).toEqual(error("nothing is possible here"));
  });

  test("migrate-incoming is for a VM that waits", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    expect(await run(client, "migrate-incoming", { uri: "file:/x" })).toEqual(
      error("'-incoming' was not specified on the command line"),
    );
    const calls: unknown[] = [];
    f.host.incoming = (args) => void calls.push(args);
    expect(await run(client, "migrate-incoming", { uri: "file:/x" })).toEqual({});
    expect(await run(client, "migrate-incoming", { uri: "file:/x", "exit-on-error": false })).toEqual({});
    expect(await run(client, "migrate-incoming")).toEqual(error("need either 'uri' or 'channels' argument"));
    expect(calls).toEqual([
      { uri: "file:/x", exitOnError: true },
      { uri: "file:/x", exitOnError: false },
    ]);
  });

  test("migrate_cancel, migrate-continue and x-cpr-preflight", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    expect(await run(client, "migrate_cancel")).toEqual({});
    expect(await run(client, "migrate-continue", { state: "pre-switchover" })).toEqual({});
    expect(f.host.migration.calls).toEqual(["cancel", { continue: "pre-switchover" }]);
    expect(await run(client, "x-cpr-preflight")).toMatchObject({ ok: true });
  });
});

describe("the human monitor", () => {
  async function monitor() {
    const f = new QmpFixture();
    const client = await f.client();
    return Object.assign(f, {
      hmp: (line: string, cpu?: number) =>
        run(client, "human-monitor-command", {
          "command-line": line,
          ...(cpu !== undefined && { "cpu-index": cpu }),
        }),
    });
  }

  test("info status", async () => {
    await using f = await monitor();
    expect(await f.hmp("info status")).toBe("VM status: running\r\n");
    f.host.state.set("paused");
    expect(await f.hmp("  info   status ")).toBe("VM status: paused\r\n");
    f.host.state.set("postmigrate");
    expect(await f.hmp("info status")).toBe("VM status: paused (postmigrate)\r\n");
  });

  test("info registers, of one vCPU or all", async () => {
    await using f = await monitor();
    const cpu = (n: number) => `\r\nCPU#${n}\r\nEAX=0000000${n}\r\nEIP=0000fff0\r\n`;
    expect(await f.hmp("info registers")).toBe(cpu(0));
    expect(await f.hmp("info registers", 1)).toBe(cpu(1));
    expect(await f.hmp("info registers 1")).toBe(cpu(1));
    expect(await f.hmp("info registers -a")).toBe(cpu(0) + cpu(1));
    expect(await f.hmp("info registers 7")).toBe("CPU#7 not available\r\n");
    const help = 'Try "help info registers" for more information\r\n';
    expect(await f.hmp("info registers foo")).toBe(`invalid char 'f' in expression\r\n${help}`);
    expect(await f.hmp("info registers -b")).toBe(`registers: unsupported option -b\r\n${help}`);
    expect(await f.hmp("info registers 0 1")).toBe(
      `registers: extraneous characters at the end of line\r\n${help}`,
    );
  });

  test("info mtree", async () => {
    await using f = await monitor();
    expect(await f.hmp("info mtree")).toBe(f.host.mtreeText().replaceAll("\n", "\r\n"));
  });

  test("info migrate", async () => {
    await using f = await monitor();
    expect(await f.hmp("info migrate")).toBe("mode: normal\r\n");
    f.host.migration.current = {
      status: "failed",
      "error-desc": "no such command",
      "total-time": 20,
      downtime: 3,
      "setup-time": 12,
      "blocked-reasons": ["share=on is required"],
      ram: { total: 67108864, transferred: 4096, remaining: 0, "page-size": 4096 },
      "x-phases": [{ name: "save", "start-ns": 0, "duration-ns": 1_234_567 }],
    };
    expect(await f.hmp("info migrate")).toBe(
      [
        "mode: normal",
        "blocked: share=on is required",
        "Migration status: failed (no such command)",
        "total time: 20 ms",
        "downtime: 3 ms",
        "setup: 12 ms",
        "transferred: 4 kbytes",
        "total ram: 65536 kbytes",
        "page size: 4 kbytes",
        "phase save: 1.235 ms",
        "",
      ].join("\r\n"),
    );
  });

  test("help, and what there is not", async () => {
    await using f = await monitor();
    expect(await f.hmp("help info status")).toBe(
      "info status -- show the current VM status (running|paused)\r\n",
    );
    expect(await f.hmp("info")).toContain("info registers [-a|vcpu] -- ");
    expect(await f.hmp("help")).toContain("info mtree -- show memory tree\r\n");
    expect(await f.hmp("")).toBe("");
    expect(await f.hmp("stop")).toBe("unknown command: 'stop'\r\n");
    expect(await f.hmp("info foo")).toBe("unknown command: 'info foo'\r\n");
  });
});
