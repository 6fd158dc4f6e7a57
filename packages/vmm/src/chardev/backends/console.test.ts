import { describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { connectUnix, fdPath, openFds, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "@vmm/libc";
import { ChardevFixture, Peer, until } from "../../../test/chardev-fixture.ts";
import { HISTORY_SIZE, MAX_READERS, RX_SIZE } from "../char-ring.ts";
import { ConsoleChardev } from "./console.ts";

function fixture() {
  const f = new ChardevFixture((ring, context) => new ConsoleChardev(ring, context));
  const path = `${f.folder}/console.sock`;
  return Object.assign(f, {
    path,
    connect: () => new Peer(f.own(connectUnix(path, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK))),
    clients: () => (f.chardev as ConsoleChardev).clients,
  });
}

const pattern = (length: number) => new Uint8Array(length).map((_, i) => 97 + (i % 23));
const asText = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

describe("the console", () => {
  test("is a socket in the VM's folder that only its owner can use", async () => {
    await using f = fixture();
    f.start();
    expect(statSync(f.path).mode & 0o7777).toBe(0o600);
    expect(f.chardev.info()).toEqual({
      label: "serial0",
      filename: `unix:${f.path},server=on`,
      "frontend-open": true,
    });
  });

  test("gives every client all that the guest prints, and the guest what any of them types", async () => {
    await using f = fixture();
    f.start();
    const [a, b] = [f.connect(), f.connect()];
    await until(() => f.clients() === 2, "both clients");
    f.guest.print("login: ");
    await until(() => a.text === "login: " && b.text === "login: ", "the prompt");
    a.send("ro");
    await until(() => f.guest.received === "ro", "the first half");
    b.send("ot\r");
    await until(() => f.guest.received === "root\r", "the other half");
    expect(f.guest.events).toBeGreaterThan(0);
  });

  test("shows a late client the history first, what was printed before the console opened too", async () => {
    await using f = fixture();
    f.guest.print("booting\r\n");
    f.start();
    f.guest.print("booted\r\n");
    const early = f.connect();
    await until(() => early.text === "booting\r\nbooted\r\n", "the history");
    const late = f.connect();
    f.guest.print("$ ");
    await until(() => late.text === "booting\r\nbooted\r\n$ ", "history and present");
    await until(() => early.text.endsWith("$ "), "the present");
  });

  test("keeps a bounded history", async () => {
    await using f = fixture();
    f.start();
    const output = pattern(3 * HISTORY_SIZE + 5);
    await f.guest.printAll(output);
    const late = f.connect();
    await until(() => late.text.length >= HISTORY_SIZE, "the history");
    expect(late.text).toBe(asText(output.slice(-HISTORY_SIZE)));
  });

  test("drops a client that does not read, and never makes the guest or the others wait", async () => {
    await using f = fixture();
    f.start();
    const [lazy, keen] = [f.connect(), f.connect()];
    await until(() => f.clients() === 2, "both clients");
    const output = pattern(1024 * 1024);
    for (let at = 0; at < output.length; at += 8192) {
      await f.guest.printAll(output.subarray(at, at + 8192));
      await until(() => keen.text.length === Math.min(at + 8192, output.length), "what was printed");
    }
    expect(keen.text).toBe(asText(output));
    expect(f.clients()).toBe(1);
    // what had fitted into its socket is whole, then comes the end
    expect(asText(output).startsWith(lazy.text)).toBe(true);
    expect(lazy.ended).toBe(true);
  });

  test("takes from its clients no more than the guest reads", async () => {
    await using f = fixture();
    f.start();
    const client = f.connect();
    await until(() => f.clients() === 1, "the client");
    const input = pattern(20 * RX_SIZE);
    let sent = client.send(input);
    await until(() => f.guest.ring.readable() === RX_SIZE, "a full ring");
    // the guest reads nothing: nothing more is taken, whatever else happens
    f.guest.print("x");
    await until(() => client.text === "x", "an answer");
    expect(f.guest.ring.readable()).toBe(RX_SIZE);
    await until(() => {
      sent += client.send(input.subarray(sent));
      return f.guest.received.length === input.length;
    }, "all of the input");
    expect(f.guest.received).toBe(asText(input));
  });

  test("forgets a client that hangs up", async () => {
    await using f = fixture();
    f.start();
    const isSocket = (fd: number) => {
      try {
        return fdPath(fd).startsWith("socket:");
      } catch {
        // one of Bun's own that was closed since it was listed
        return false;
      }
    };
    const sockets = () => openFds().filter(isSocket).length;
    const before = sockets();
    const [a, b] = [f.connect(), f.connect()];
    await until(() => f.clients() === 2, "both clients");
    f.close(a.fd);
    await until(() => f.clients() === 1, "one to go");
    f.guest.print("still here");
    await until(() => b.text === "still here", "output for the other");
    f.close(b.fd);
    await until(() => f.clients() === 0, "the other to go");
    expect(sockets()).toBe(before);
    expect(f.fds.entries().map(({ name }) => name)).toEqual(["serial0.listen"]);
  });

  test("refuses more clients than it has places for, and says why", async () => {
    await using f = fixture();
    f.start();
    const clients = Array.from({ length: MAX_READERS }, f.connect);
    await until(() => f.clients() === MAX_READERS, "all clients");
    const one = f.connect();
    await until(() => one.text.length > 0 && one.ended, "the refusal");
    expect(one.text).toBe("vmm: the console has 16 clients, which is the limit\r\n");
    f.close((clients[3] as Peer).fd);
    await until(() => f.clients() === MAX_READERS - 1, "a place");
    f.connect();
    await until(() => f.clients() === MAX_READERS, "the place taken");
  });

  test("survives the replacement of the process: no client notices, no byte is lost or repeated", async () => {
    await using f = fixture();
    f.start();
    const client = f.connect();
    f.guest.print("before ");
    await until(() => client.text === "before ", "output before");
    for (let update = 1; update <= 3; update++) {
      f.guest.print(`printed ${update} `);
      await f.replaceProcess(() => client.send(`typed ${update} `));
      f.guest.print(`after ${update} `);
      await until(() => client.text.endsWith(`after ${update} `), "output after");
      await until(() => f.guest.received === `typed ${update} `, "what was typed meanwhile");
    }
    expect(client.text).toBe("before printed 1 after 1 printed 2 after 2 printed 3 after 3 ");
    expect(client.ended).toBe(false);
    const late = f.connect();
    await until(() => late.text === client.text, "the history");
  });

  test("accepts after the replacement who connected during it", async () => {
    await using f = fixture();
    f.start();
    f.guest.print("history");
    let client: Peer | undefined;
    await f.replaceProcess(() => {
      client = f.connect();
    });
    await until(() => client?.text === "history", "the history");
  });

  test("goes on serving a client that had not read all before the replacement", async () => {
    await using f = fixture();
    f.start();
    const client = f.connect();
    await until(() => f.clients() === 1, "the client");
    const { ring } = f.guest;
    const output = pattern(1024 * 1024);
    let printed = 0;
    // until its socket is full, and a little more
    while (ring.readerPosition(0) === ring.written) {
      await f.guest.printAll(output.subarray(printed, printed + 4096));
      printed += 4096;
      await until(() => ring.undrained === 0, "the output to be taken");
    }
    await f.replaceProcess();
    expect(f.clients()).toBe(1);
    expect(f.guest.ring.readerPosition(0)).toBeLessThan(printed);
    await until(() => client.text.length === printed, "all of the output");
    expect(client.text).toBe(asText(output.subarray(0, printed)));
  });

  test("goes on where it was when the live update fails", async () => {
    await using f = fixture();
    f.start();
    const client = f.connect();
    await until(() => f.clients() === 1, "the client");
    f.chardev.pauseForExec();
    client.send("typed");
    f.guest.print("printed");
    await Bun.sleep(20);
    expect([client.text, f.guest.received]).toEqual(["", ""]);
    f.chardev.start();
    await until(() => client.text === "printed" && f.guest.received === "typed", "both");
  });

  test("takes its socket away when it closes, but not when a successor has it", async () => {
    await using f = fixture();
    f.start();
    f.chardev.close(true);
    expect(existsSync(f.path)).toBe(true);
    f.start();
    f.chardev.close();
    expect(existsSync(f.path)).toBe(false);
    expect(f.fds.size).toBe(0);
    f.start();
  });

  test("refuses a folder where a console is alive", async () => {
    await using f = fixture();
    f.start();
    await using other = new ChardevFixture((ring, context) => {
      return new ConsoleChardev(ring, { ...context, folder: f.folder });
    });
    expect(() => other.start()).toThrow(`${f.path} is in use: another process listens there`);
    expect(other.fds.size).toBe(0);
  });
});
