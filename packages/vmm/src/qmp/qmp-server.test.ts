import { describe, expect, test } from "bun:test";
import { close, fdPath, O_CLOEXEC, openFds, pipe, SHUT_WR, shutdown } from "@vmm/libc";
import { until } from "../../test/chardev-fixture.ts";
import { error, QmpFixture } from "../../test/qmp-fixture.ts";
import { MAX_CLIENTS } from "./qmp-server.ts";

/** A pipe to hand over, and how many fds of this process are its reading end or a duplicate of it. */
function handedPipe() {
  const [reader, writer] = pipe(O_CLOEXEC);
  const path = fdPath(reader);
  return {
    reader,
    /** Without the writing end. */
    copies: () => openFds().filter((fd) => fd !== writer && pathOf(fd) === path).length,
    [Symbol.dispose]() {
      close(reader);
      close(writer);
    },
  };
}

/** Other threads close fds while we look. */
function pathOf(fd: number): string {
  try {
    return fdPath(fd);
  } catch {
    return "";
  }
}

describe("a QMP session", () => {
  test("begins with the greeting, then negotiation", async () => {
    await using f = new QmpFixture();
    const client = f.raw();
    expect(await client.next()).toEqual({
      QMP: {
        version: { qemu: { major: 1, minor: 2, micro: 3 }, package: "vmm 1.2.3" },
        capabilities: ["oob"],
      },
    });
    const before = error("Expecting capabilities negotiation with 'qmp_capabilities'", "CommandNotFound");
    expect(await client.ask({ execute: "query-status" })).toEqual(before);
    expect(await client.ask({ execute: "no-such-thing", id: 1 })).toEqual({ ...before, id: 1 });
    expect(await client.ask({ execute: "qmp_capabilities", arguments: { enable: ["foo"] } })).toEqual(
      error("Parameter 'null' does not accept value 'foo'"),
    );
    expect(await client.ask({ execute: "qmp_capabilities", arguments: { x: 1 } })).toEqual(
      error("Parameter 'x' is unexpected"),
    );
    expect(await client.ask({ execute: "qmp_capabilities", id: 7 })).toEqual({ return: {}, id: 7 });
    expect(await client.ask({ execute: "qmp_capabilities" })).toEqual(
      error("Capabilities negotiation is already complete, command ignored", "CommandNotFound"),
    );
    expect(await client.ask({ execute: "query-status" })).toEqual({
      return: { status: "running", running: true },
    });
  });

  test("answers in order, each with its id", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    const ids = [1, "two", null, [3, { x: 4.5 }], { five: true }];
    client.send(ids.map((id) => JSON.stringify({ execute: "query-name", id })).join(""));
    for (const id of ids) expect(await client.next()).toEqual({ return: { name: "test vm" }, id });
    client.send('{"execute": "query-name", "id": 18446744073709551615}');
    await until(() => client.text.includes("\n"), "an answer");
    expect(client.text).toBe('{"return": {"name": "test vm"}, "id": 18446744073709551615}\r\n');
  });

  test("puts requests together from pieces", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    for (const byte of Buffer.from('{\n "execute":\n "query-name" }')) {
      client.send(Uint8Array.of(byte));
      await Bun.sleep(0);
    }
    expect(await client.next()).toEqual({ return: { name: "test vm" } });
  });

  test("goes on after whatever was not JSON", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    expect(await client.ask("{]")).toEqual(error("JSON parse error, expecting value"));
    expect(await client.ask({ execute: "query-name" })).toEqual({ return: { name: "test vm" } });
    expect(await client.ask("[1]")).toEqual(error("QMP input must be a JSON object"));
    expect(await client.ask({ execute: "query-name" })).toEqual({ return: { name: "test vm" } });
  });

  test("refuses out-of-band execution without the capability, and where a command does not have it", async () => {
    await using f = new QmpFixture();
    const plain = await f.client();
    expect(await plain.ask({ "exec-oob": "query-name", id: 1 })).toEqual({
      ...error("QMP input member 'exec-oob' is unexpected"),
      id: 1,
    });
    const oob = await f.client(["oob"]);
    expect(await oob.ask({ "exec-oob": "query-name", id: 1 })).toEqual({
      ...error("The command query-name does not support OOB"),
      id: 1,
    });
    expect(await oob.ask({ "exec-oob": "nope" })).toEqual(
      error("The command nope has not been found", "CommandNotFound"),
    );
    expect(await oob.ask({ execute: "a", "exec-oob": "b" })).toEqual(
      error("QMP input member 'execute' clashes with 'exec-oob'"),
    );
    expect(await oob.ask({ execute: "query-name" })).toEqual({ return: { name: "test vm" } });
  });

  test("answers what was asked before the client shut down its side", async () => {
    await using f = new QmpFixture();
    const client = f.raw();
    client.send('{"execute": "qmp_capabilities"}{"execute": "query-name", "id": 1}');
    shutdown(client.fd, SHUT_WR);
    await until(() => {
      void client.text;
      return client.ended;
    }, "the end");
    expect(client.text.trimEnd().split("\r\n").slice(1)).toEqual([
      '{"return": {}}',
      '{"return": {"name": "test vm"}, "id": 1}',
    ]);
    expect(f.server.clients).toBe(0);
  });
});

describe("several clients", () => {
  test("each has a session of its own, and all hear of events", async () => {
    await using f = new QmpFixture();
    const [a, b] = [await f.client(), await f.client()];
    const silent = f.raw();
    await silent.next();
    a.send({ execute: "stop", id: "a" });
    const event = await b.next();
    expect(event).toEqual({ event: "STOP", timestamp: event.timestamp });
    expect(Math.abs(event.timestamp.seconds - Date.now() / 1000)).toBeLessThan(60);
    expect(event.timestamp.microseconds).toBeLessThan(1_000_000);
    expect((await a.next()).event).toBe("STOP");
    expect(await a.next()).toEqual({ return: {}, id: "a" });
    expect(await b.ask({ execute: "system_reset" })).toMatchObject({
      event: "RESET",
      data: { guest: false, reason: "host-qmp-system-reset" },
    });
    // who has not negotiated hears of none
    expect(silent.text).toBe("");
  });

  test("never have two commands at once, but for those that take long", async () => {
    await using f = new QmpFixture();
    const [a, b] = [await f.client(), await f.client()];
    const { promise, resolve } = Promise.withResolvers<void>();
    f.host.stopped = promise;
    a.send({ execute: "stop" });
    b.send({ execute: "query-name" });
    await Bun.sleep(30);
    expect([a.text, b.text]).toEqual(["", ""]);
    resolve();
    expect((await b.next()).event).toBe("STOP");
    expect(await b.next()).toEqual({ return: { name: "test vm" } });

    const under = Promise.withResolvers<void>();
    f.host.migration.started = under.promise;
    a.send({ execute: "x-cpr-preflight" });
    expect(await b.ask({ execute: "migrate_cancel" })).toEqual({ return: {} });
    under.resolve();
    expect((await a.next()).event).toBe("STOP");
    expect(await a.next()).toEqual({ return: {} });
    expect(await a.next()).toEqual({ return: { ok: true, version: "1.2.3", blocks: [], warnings: [] } });
  });

  test("MIGRATION events come only where the capability asks for them", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    f.host.events.emit("MIGRATION", { status: "setup" });
    const capabilities = [{ capability: "events", state: true }];
    expect(await client.ask({ execute: "migrate-set-capabilities", arguments: { capabilities } })).toEqual({
      return: {},
    });
    f.host.events.emit("MIGRATION", { status: "active" });
    expect(await client.next()).toMatchObject({ event: "MIGRATION", data: { status: "active" } });
  });

  test("are dropped when they do not read, without harm to the others", async () => {
    await using f = new QmpFixture();
    const [lazy, keen] = [await f.client(), await f.client()];
    let heard = 0;
    const reason = "x".repeat(50_000);
    for (let i = 0; i < 120; i++) {
      f.host.events.emit("RESET", { guest: false, reason });
      expect((await keen.next()).event).toBe("RESET");
      heard++;
    }
    expect(heard).toBe(120);
    await until(() => f.server.clients === 1, "the end of the lazy one");
    expect(lazy.text.length).toBeLessThan(6_000_000);
    expect(lazy.ended).toBe(true);
    expect(await keen.ask({ execute: "query-name" })).toEqual({ return: { name: "test vm" } });
  });

  test("that ask without reading the answers are not read from any more, and lose nothing", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    const request = Buffer.from('{"execute": "query-commands"}'.repeat(1000));
    let sent = 0;
    for (let round = 0; round < 50; round++) {
      sent += client.send(request.subarray(sent % 29));
      await Bun.sleep(1);
    }
    const answers = Math.floor(sent / 29);
    let count = 0;
    await until(() => {
      count = client.text.split("\n").length - 1;
      return count === answers;
    }, "all answers");
    expect(f.server.clients).toBe(1);
  });

  test("have a limit", async () => {
    await using f = new QmpFixture();
    for (let i = 0; i < MAX_CLIENTS; i++) await f.raw().next();
    const one = f.raw();
    await until(() => one.text === "" && one.ended, "the refusal");
    expect(f.server.clients).toBe(MAX_CLIENTS);
  });

  test("leave nothing behind when they vanish, even in the midst of a command", async () => {
    await using f = new QmpFixture();
    const { promise, resolve } = Promise.withResolvers<void>();
    f.host.stopped = promise;
    const client = await f.client();
    using handed = handedPipe();
    client.send({ execute: "stop" }, [handed.reader]);
    await until(() => handed.copies() === 2, "the fd");
    f.disconnect(client);
    resolve();
    await until(() => f.server.clients === 0, "the end of the session");
    expect(handed.copies()).toBe(1);
  });
});

describe("fds", () => {
  test("come with getfd and go with closefd", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    using handed = handedPipe();
    const fd = handed.reader;
    const getfd = (fdname: string) => ({ execute: "getfd", arguments: { fdname } });
    expect(await client.ask(getfd("a"))).toEqual(error("No file descriptor supplied via SCM_RIGHTS"));
    expect(await client.ask(getfd("a"), [fd])).toEqual({ return: {} });
    expect(handed.copies()).toBe(2);
    // the same name again replaces it
    expect(await client.ask(getfd("a"), [fd])).toEqual({ return: {} });
    expect(handed.copies()).toBe(2);
    expect(await client.ask(getfd("1"), [fd])).toEqual(
      error("Parameter 'fdname' expects a name not starting with a digit"),
    );
    // of two that come at once the second is not kept
    client.send(JSON.stringify(getfd("c")) + JSON.stringify(getfd("d")), [fd, fd]);
    expect(await client.next()).toEqual({ return: {} });
    expect(await client.next()).toEqual(error("No file descriptor supplied via SCM_RIGHTS"));
    expect(handed.copies()).toBe(3);
    const closefd = { execute: "closefd", arguments: { fdname: "a" } };
    expect(await client.ask(closefd)).toEqual({ return: {} });
    expect(await client.ask(closefd)).toEqual(error("File descriptor named 'a' not found"));
    await f.server.close();
    expect(handed.copies()).toBe(1);
  });

  test("more than a message may have end the connection, and none stays", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    using handed = handedPipe();
    client.send({ execute: "query-name" }, Array(17).fill(handed.reader));
    await until(() => f.server.clients === 0, "the end");
    expect(handed.copies()).toBe(1);
  });
});

describe("the end of a server", () => {
  test("lets the answer to quit out, and its event", async () => {
    await using f = new QmpFixture();
    const client = await f.client();
    let closed: Promise<void> | undefined;
    const quit = f.host.quit;
    f.host.quit = () => {
      quit();
      closed = f.server.close();
    };
    client.send({ execute: "quit", id: 1 });
    await until(() => client.text.includes("return") && client.ended, "the end");
    expect((await client.next()).event).toBe("SHUTDOWN");
    expect(await client.next()).toEqual({ return: {}, id: 1 });
    await closed;
    expect(f.server.clients).toBe(0);
  });

  test("does not wait for a command that never ends, nor for a client that does not read", async () => {
    await using f = new QmpFixture();
    f.host.stopped = new Promise(() => {});
    const client = await f.client();
    client.send({ execute: "stop" });
    await Bun.sleep(10);
    const begin = performance.now();
    await f.server.close();
    expect(performance.now() - begin).toBeLessThan(2000);
    expect(f.server.clients).toBe(0);
  });

  test("leaves the listening socket to the next server, with who waits there", async () => {
    await using f = new QmpFixture();
    await f.server.close();
    const client = f.raw();
    await Bun.sleep(10);
    expect(client.text).toBe("");
    f.server = f.newServer();
    expect((await client.next()).QMP).toBeDefined();
  });
});
