import { describe, expect, test } from "bun:test";
import { close } from "@vmm/libc";
import { until } from "../../test/chardev-fixture.ts";
import { QmpFixture } from "../../test/qmp-fixture.ts";
import { Acceptor } from "../reactor/index.ts";
import { QmpClient, QmpConnectionError, type QmpEvent } from "./client.ts";
import { QmpError } from "./qmp-error.ts";

describe("the QMP client", () => {
  test("runs commands, several at once too", async () => {
    await using f = new QmpFixture();
    const client = await QmpClient.connect(f.path);
    expect(await client.greeting).toMatchObject({ version: { package: "vmm 1.2.3" } });
    const names = await Promise.all(Array.from({ length: 20 }, () => client.execute("query-name")));
    expect(names).toEqual(Array(20).fill({ name: "test vm" }));
    expect(await client.execute("query-status", {})).toEqual({ status: "running", running: true });
    client.close();
    await until(() => f.server.clients === 0, "the end of the session");
  });

  test("throws what the server answers as an error", async () => {
    await using f = new QmpFixture();
    const client = await QmpClient.connect(f.path);
    const refused = (await client.execute("nope").catch((error) => error)) as QmpError;
    expect(refused).toBeInstanceOf(QmpError);
    expect([refused.class, refused.message]).toEqual([
      "CommandNotFound",
      "The command nope has not been found",
    ]);
    client.close();
  });

  test("gives events, to listeners and to loops", async () => {
    await using f = new QmpFixture();
    const client = await QmpClient.connect(f.path);
    const heard: string[] = [];
    const stop = client.onEvent(({ event }) => heard.push(event));
    const events = client.events();
    await client.execute("stop");
    stop();
    await client.execute("cont");
    const looped: QmpEvent[] = [];
    for await (const event of events) {
      looped.push(event);
      if (looped.length === 2) break;
    }
    expect(looped.map(({ event }) => event)).toEqual(["STOP", "RESUME"]);
    expect(heard).toEqual(["STOP"]);
    const rest = client.events();
    client.close();
    expect(await rest.next()).toEqual({ done: true, value: undefined });
  });

  test("tells of the end of the connection, and fails what waits for an answer", async () => {
    await using f = new QmpFixture();
    f.host.stopped = new Promise(() => {});
    const client = await QmpClient.connect(f.path);
    const stop = client.execute("stop");
    await Bun.sleep(10);
    await f.server.close();
    await client.closed;
    expect(await stop.catch((error) => error)).toBeInstanceOf(QmpConnectionError);
    expect(client.execute("query-name")).rejects.toThrow("the connection is closed");
  });

  test("says in a word why it cannot connect", async () => {
    await using f = new QmpFixture();
    expect(QmpClient.connect(`${f.folder}/none`)).rejects.toThrow(new QmpConnectionError("ENOENT"));
  });

  test("gives up on a server that says nothing", async () => {
    await using f = new QmpFixture();
    await f.server.close();
    await expect(QmpClient.connect(f.path, { timeoutMs: 50 })).rejects.toThrow(
      `no answer from ${f.path} within 50 ms`,
    );
    f.server = f.newServer();
  });

  test("gives up on a server that hangs up", async () => {
    await using f = new QmpFixture();
    await f.server.close();
    const acceptor = new Acceptor(f.reactor, f.listener, (fd) => {
      close(fd);
    });
    await expect(QmpClient.connect(f.path)).rejects.toThrow("the VMM closed the connection");
    acceptor.close();
    f.server = f.newServer();
  });

  test("sends and takes messages larger than a socket's buffer", async () => {
    await using f = new QmpFixture();
    const client = await QmpClient.connect(f.path);
    const text = "é".repeat(300_000);
    const refused = await client.execute("human-monitor-command", { "command-line": text });
    expect(refused).toBe(`unknown command: '${text}'\r\n`);
    client.close();
  });
});
