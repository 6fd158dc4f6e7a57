import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  close,
  isNonblocking,
  O_CLOEXEC,
  O_NOCTTY,
  O_RDONLY,
  O_RDWR,
  open,
  pipe,
  setNonblocking,
} from "@vmm/libc";
import { ChardevFixture, Peer, until } from "../../../test/chardev-fixture.ts";
import { openPty, ptyPath } from "../pty.ts";
import { setTtySettings, ttySettings } from "../tty.ts";
import { ECHO, ICANON, ISIG } from "../uapi/tty.ts";
import { StdioChardev } from "./stdio.ts";

/** A terminal as a shell leaves it: with echo and line editing. */
function newTerminal() {
  const master = openPty();
  const fd = open(ptyPath(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  const lflags = () => ttySettings(fd)?.c_lflag ?? 0;
  const settings = ttySettings(fd);
  if (!settings) throw new Error("not a terminal");
  settings.c_lflag |= ICANON | ECHO | ISIG;
  setTtySettings(fd, settings);
  return {
    fd,
    user: new Peer(master),
    isRaw: () => (lflags() & (ICANON | ECHO)) === 0,
    isCooked: () => (lflags() & (ICANON | ECHO)) === (ICANON | ECHO),
    keepsSignals: () => (lflags() & ISIG) !== 0,
    [Symbol.dispose]() {
      close(fd);
      close(master);
    },
  };
}

const fixture = (stdin: number, stdout: number) =>
  new ChardevFixture((ring, context) => new StdioChardev(ring, context, stdin, stdout));

describe("a serial port on stdio", () => {
  test("talks with a terminal in raw mode, in which Ctrl-C still is a signal", async () => {
    using terminal = newTerminal();
    await using f = fixture(terminal.fd, terminal.fd);
    f.start();
    expect(terminal.isRaw()).toBe(true);
    expect(terminal.keepsSignals()).toBe(true);
    f.guest.print("login: ");
    await until(() => terminal.user.text === "login: ", "output");
    terminal.user.send("root\r");
    await until(() => f.guest.received === "root\r", "input");
    expect(terminal.user.text).toBe("login: ");
    expect(f.chardev.info().filename).toBe("stdio");
  });

  test("leaves the terminal as it was, when it pauses and when it closes", async () => {
    using terminal = newTerminal();
    await using f = fixture(terminal.fd, terminal.fd);
    f.start();
    expect(isNonblocking(terminal.fd)).toBe(true);
    f.chardev.pauseForExec();
    expect(terminal.isCooked()).toBe(true);
    expect(isNonblocking(terminal.fd)).toBe(false);
    f.chardev.start();
    expect(terminal.isRaw()).toBe(true);
    f.chardev.close();
    expect(terminal.isCooked()).toBe(true);
    expect(isNonblocking(terminal.fd)).toBe(false);
  });

  test("takes pipes, and leaves alone that one was non-blocking before", async () => {
    const [stdin, typist] = pipe(O_CLOEXEC);
    const [screen, stdout] = pipe(O_CLOEXEC);
    setNonblocking(stdin, true);
    setNonblocking(screen, true);
    await using f = fixture(stdin, stdout);
    for (const fd of [stdin, screen, stdout]) f.own(fd);
    f.start();
    new Peer(typist).send("typed");
    await until(() => f.guest.received === "typed", "input");
    const peer = new Peer(screen);
    f.guest.print("printed");
    await until(() => peer.text === "printed", "output");
    // the end of the input is not the end of the output
    close(typist);
    await Bun.sleep(20);
    f.guest.print(", and on");
    await until(() => peer.text === "printed, and on", "more output");
    f.chardev.pauseForExec();
    expect([isNonblocking(stdin), isNonblocking(stdout)]).toEqual([true, false]);
  });

  test("takes a file as input, as fast as the guest reads it", async () => {
    const [screen, stdout] = pipe(O_CLOEXEC);
    const stdin = open(import.meta.path, O_RDONLY | O_CLOEXEC);
    await using f = fixture(stdin, stdout);
    for (const fd of [stdin, screen, stdout]) f.own(fd);
    f.start();
    const content = await Bun.file(import.meta.path).text();
    await until(() => f.guest.received.length === content.length, "all of the file");
    expect(f.guest.received).toBe(content);
  });

  test("takes /dev/null for both", async () => {
    const nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    await using f = fixture(nothing, nothing);
    f.own(nothing);
    f.start();
    await f.guest.printAll(new Uint8Array(200_000));
    await until(() => f.guest.ring.undrained === 0, "the output to be taken");
    expect(f.guest.received).toBe("");
  });

  test("lets the guest run on when the reader of its output is gone, and says so once", async () => {
    const [screen, stdout] = pipe(O_CLOEXEC);
    const nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    await using f = fixture(nothing, stdout);
    f.own(nothing);
    f.own(stdout);
    f.start();
    close(screen);
    await f.guest.printAll(new Uint8Array(200_000));
    await until(() => f.guest.ring.undrained === 0, "the output to be taken");
    expect(f.warnings).toHaveLength(1);
    expect(f.warnings[0]).toContain("EPIPE");
  });

  test("hands a cooked, blocking terminal to the process that replaces it, time and again", async () => {
    using terminal = newTerminal();
    const program = join(import.meta.dir, "../../../test/programs/stdio-exec.ts");
    const child = Bun.spawn([process.execPath, program], {
      stdio: [terminal.fd, terminal.fd, "inherit"],
    });
    try {
      const { user } = terminal;
      const started = (generation: number) => `[${generation} cooked blocking ${child.pid}]`;
      await until(() => user.text === started(0), "the first start");
      expect(terminal.isRaw()).toBe(true);
      user.send("ax");
      await until(() => user.text === `${started(0)}ax${started(1)}`, "the first replacement");
      user.send("bx");
      await until(() => user.text.endsWith(`${started(1)}bx${started(2)}`), "the second replacement");
      expect(terminal.isRaw()).toBe(true);
      user.send("q");
      expect(await child.exited).toBe(0);
      expect(terminal.isCooked()).toBe(true);
      expect(isNonblocking(terminal.fd)).toBe(false);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
  });
});
