import { describe, expect, test } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { accept4, connectUnix, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "@vmm/libc";
import { ChardevFixture, Peer, until } from "../../../test/chardev-fixture.ts";
import { listenUnix } from "../../reactor/index.ts";
import { TX_SIZE } from "../char-ring.ts";
import { UnixChardev } from "./unix.ts";

function fixture() {
  const f = new ChardevFixture((ring, context) => {
    return new UnixChardev(ring, context, `${context.folder}/serial`);
  });
  const path = `${f.folder}/serial`;
  return Object.assign(f, {
    path,
    connect: () => new Peer(f.own(connectUnix(path, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK))),
  });
}

describe("a serial port that listens on a socket", () => {
  test("talks with its client", async () => {
    await using f = fixture();
    f.start();
    expect(statSync(f.path).mode & 0o7777).toBe(0o600);
    expect(f.chardev.info().filename).toBe(`disconnected:unix:${f.path},server=on`);
    const client = f.connect();
    client.send("in");
    await until(() => f.guest.received === "in", "input");
    f.guest.print("out");
    await until(() => client.text === "out", "output");
    expect(f.chardev.info().filename).toBe(`unix:${f.path},server=on`);
  });

  test("discards output while it has no client", async () => {
    await using f = fixture();
    f.start();
    await f.guest.printAll(new Uint8Array(2 * TX_SIZE));
    await until(() => f.guest.ring.undrained === 0, "the output to be taken");
    const client = f.connect();
    client.send(".");
    await until(() => f.guest.received === ".", "the client");
    f.guest.print("now");
    await until(() => client.text === "now", "output");
  });

  test("takes the next client when the first has gone", async () => {
    await using f = fixture();
    f.start();
    const first = f.connect();
    const second = f.connect();
    first.send("1");
    second.send("2");
    await until(() => f.guest.received === "1", "the first");
    await Bun.sleep(20);
    expect(f.guest.received).toBe("1");
    f.close(first.fd);
    await until(() => f.guest.received === "12", "the second");
  });

  test("keeps its client through the replacement of the process", async () => {
    await using f = fixture();
    f.start();
    const client = f.connect();
    client.send("a");
    await until(() => f.guest.received === "a", "input");
    await f.replaceProcess(() => client.send("b"));
    f.guest.print("out");
    await until(() => client.text === "out" && f.guest.received === "b", "both directions");
    f.close(client.fd);
    const next = f.connect();
    await f.replaceProcess();
    next.send("c");
    await until(() => f.guest.received.endsWith("c"), "the next client");
  });

  test("replaces the socket of a dead process, and takes its own away at the end", async () => {
    await using f = fixture();
    f.close(f.own(listenUnix(f.path)));
    expect(existsSync(f.path)).toBe(true);
    f.start();
    f.connect();
    f.chardev.close();
    expect(existsSync(f.path)).toBe(false);
    f.start();
  });

  test("never removes what is not a socket", async () => {
    await using f = fixture();
    writeFileSync(f.path, "precious");
    expect(() => f.start()).toThrow(`${f.path} exists and is not a socket`);
    expect(existsSync(f.path)).toBe(true);
  });
});

describe("a serial port on a path where somebody listens", () => {
  test("connects to them, and discards output once they are gone", async () => {
    await using f = fixture();
    const listener = f.own(listenUnix(f.path));
    f.start();
    const server = new Peer(f.own(accept4(listener, SOCK_CLOEXEC | SOCK_NONBLOCK) as number));
    f.guest.print("out");
    await until(() => server.text === "out", "output");
    server.send("in");
    await until(() => f.guest.received === "in", "input");
    expect(f.chardev.info().filename).toBe(`unix:${f.path}`);
    await f.replaceProcess();
    f.guest.print(" again");
    await until(() => server.text === "out again", "output after the replacement");
    f.close(server.fd);
    await f.guest.printAll(new Uint8Array(2 * TX_SIZE));
    await until(() => f.guest.ring.undrained === 0, "the output to be taken");
    expect(f.chardev.info().filename).toBe(`disconnected:unix:${f.path}`);
  });
});
