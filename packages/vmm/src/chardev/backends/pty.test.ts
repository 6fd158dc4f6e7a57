import { describe, expect, test } from "bun:test";
import { O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDWR, open } from "@vmm/libc";
import { ChardevFixture, encode, Peer, until } from "../../../test/chardev-fixture.ts";
import { TX_SIZE } from "../char-ring.ts";
import { PtyChardev } from "./pty.ts";

function fixture() {
  const f = new ChardevFixture((ring, context) => new PtyChardev(ring, context));
  return Object.assign(f, {
    path: () => (f.chardev as PtyChardev).path,
    attach: () =>
      new Peer(f.own(open((f.chardev as PtyChardev).path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC))),
  });
}

describe("a serial port on a pty", () => {
  test("talks with whoever opens the other end, byte for byte", async () => {
    await using f = fixture();
    f.start();
    expect(f.path()).toMatch(/^\/dev\/pts\/\d+$/);
    expect(f.chardev.info().filename).toBe(`pty:${f.path()}`);
    const terminal = f.attach();
    terminal.send("a\r\n\x03\x04\x7f");
    await until(() => f.guest.received === "a\r\n\x03\x04\x7f", "input");
    f.guest.print("one\ntwo\r\n");
    await until(() => terminal.text === "one\ntwo\r\n", "output, neither echoed nor changed");
  });

  test("discards output while nobody is there, and serves the next who comes", async () => {
    await using f = fixture();
    f.start();
    await f.guest.printAll(new Uint8Array(2 * TX_SIZE));
    await until(() => f.guest.ring.undrained === 0, "the output to be taken");
    const first = f.attach();
    f.guest.print("to the first");
    await until(() => first.text === "to the first", "output for the first");
    f.close(first.fd);
    await f.guest.printAll(new Uint8Array(2 * TX_SIZE));
    const second = f.attach();
    second.send("typed");
    await until(() => f.guest.received === "typed", "input from the second");
    // what was printed meanwhile may still fill the ring
    await Promise.all([
      f.guest.printAll(encode("to the second")),
      until(() => second.text.endsWith("to the second"), "output for the second"),
    ]);
  });

  test("stays the same pty through the replacement of the process", async () => {
    await using f = fixture();
    f.start();
    const path = f.path();
    const terminal = f.attach();
    terminal.send("a");
    await until(() => f.guest.received === "a", "input");
    await f.replaceProcess(() => terminal.send("b"));
    expect(f.path()).toBe(path);
    f.guest.print("out");
    await until(() => terminal.text === "out" && f.guest.received === "b", "both directions");
  });

  test("gives the pty back", async () => {
    await using f = fixture();
    f.start();
    const path = f.path();
    f.chardev.close();
    expect(f.fds.size).toBe(0);
    expect(() => open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)).toThrow();
    f.start();
  });
});
