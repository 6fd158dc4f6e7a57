import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import {
  close,
  dup,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  open,
  openFds,
  pipe,
  read,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SyscallError,
  socketpair,
  write,
} from "@vmm/libc";
import { Reactor } from "./reactor.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function readText(fd: number, size = 64): string | undefined {
  const buffer = new Uint8Array(size);
  const n = read(fd, buffer);
  return n === undefined ? undefined : new TextDecoder().decode(buffer.subarray(0, n));
}

/** Waits until `condition` holds, at most 5 s. */
async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 5000; !condition(); await Bun.sleep(1)) {
    if (performance.now() > end) throw new Error(`${what} did not come within 5 s`);
  }
}

/** Lets the reactor's thread and the main thread talk for a while: a round trip through another watch. */
async function roundTrip(reactor: Reactor): Promise<void> {
  const [from, to] = pipe(O_CLOEXEC | O_NONBLOCK);
  const { promise, resolve } = Promise.withResolvers<void>();
  const watch = reactor.watch(from, { readable: () => resolve() });
  write(to, bytes("."));
  await promise;
  watch.close();
  close(from);
  close(to);
}

const threads = () => readdirSync("/proc/self/task").length;

describe("a reactor", () => {
  let reactor: Reactor;
  let owned: number[];
  let errors: unknown[];

  const own = <T extends readonly number[]>(fds: T): T => {
    owned.push(...fds);
    return fds;
  };
  const ownPipe = () => own(pipe(O_CLOEXEC | O_NONBLOCK));
  const ownSockets = () => own(socketpair(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK));
  const closeOwned = (fd: number) => {
    owned.splice(owned.indexOf(fd), 1);
    close(fd);
  };

  beforeEach(() => {
    owned = [];
    errors = [];
    reactor = new Reactor({ onError: (error) => errors.push(error) });
  });

  afterEach(async () => {
    await reactor.close();
    for (const fd of owned) close(fd);
    expect(errors).toEqual([]);
  });

  test("calls a handler when there is something to read", async () => {
    const [from, to] = ownPipe();
    let got = "";
    reactor.watch(from, { readable: () => (got += readText(from)) });
    write(to, bytes("hello"));
    await until(() => got === "hello", "hello");
    write(to, bytes(" again"));
    await until(() => got === "hello again", "again");
  });

  test("tells of what was there before the watch", async () => {
    const [from, to] = ownPipe();
    write(to, bytes("early"));
    let got = "";
    reactor.watch(from, { readable: () => (got += readText(from)) });
    await until(() => got === "early", "early");
  });

  test("calls again for what a handler left", async () => {
    const [from, to] = ownPipe();
    let got = "";
    let calls = 0;
    reactor.watch(from, {
      readable() {
        calls++;
        got += readText(from, 1);
      },
    });
    write(to, bytes("abc"));
    await until(() => got === "abc", "abc");
    expect(calls).toBe(3);
  });

  test("loses no wake-up to a writer that never rests", async () => {
    const [from, to] = ownPipe();
    let got = 0;
    reactor.watch(from, { readable: () => (got += readText(from, 8)?.length ?? 0) });
    for (let i = 0; i < 2000; i++) {
      write(to, bytes("x"));
      if (i % 50 === 0) await Bun.sleep(0);
    }
    await until(() => got === 2000, "all 2000 bytes");
  });

  test("sends one message for a thousand writes that come while the main thread is busy", async () => {
    const [from, to] = ownPipe();
    let calls = 0;
    reactor.watch(from, {
      readable() {
        calls++;
        readText(from, 4096);
      },
    });
    await roundTrip(reactor);
    for (let i = 0; i < 1000; i++) write(to, bytes("x"));
    await until(() => calls > 0, "the first call");
    await roundTrip(reactor);
    expect(calls).toBeLessThanOrEqual(2);
  });

  test("serves a hundred fds at once", async () => {
    const pairs = Array.from({ length: 100 }, ownPipe);
    const served = new Set<number>();
    for (const [from] of pairs) {
      reactor.watch(from, {
        readable() {
          readText(from);
          served.add(from);
        },
      });
    }
    for (const [, to] of pairs) write(to, bytes("."));
    await until(() => served.size === 100, "all of them");
  });

  test("calls once per wish when there is room to write", async () => {
    const [here, there] = ownSockets();
    const chunk = new Uint8Array(64 * 1024);
    while (write(here, chunk) !== undefined);
    let calls = 0;
    const watch = reactor.watch(here, { writable: () => calls++ });
    watch.awaitWritable();
    await roundTrip(reactor);
    expect(calls).toBe(0);
    while (read(there, chunk) !== undefined);
    await until(() => calls === 1, "room");
    await roundTrip(reactor);
    expect(calls).toBe(1);
  });

  test("says nothing while reading is paused, and goes on after", async () => {
    const [from, to] = ownPipe();
    let got = "";
    const watch = reactor.watch(from, { readable: () => (got += readText(from)) });
    watch.pauseReading();
    write(to, bytes("held"));
    await roundTrip(reactor);
    await roundTrip(reactor);
    expect(got).toBe("");
    watch.resumeReading();
    await until(() => got === "held", "held");
  });

  test("lets the handler pause itself, with more to read", async () => {
    const [from, to] = ownPipe();
    let calls = 0;
    const watch = reactor.watch(from, {
      readable() {
        calls++;
        watch.pauseReading();
      },
    });
    write(to, bytes("x"));
    await until(() => calls === 1, "the call");
    await roundTrip(reactor);
    expect(calls).toBe(1);
    watch.resumeReading();
    await until(() => calls === 2, "the second call");
  });

  test("gives what was sent before the other end closed, then the end", async () => {
    const [here, there] = ownSockets();
    write(there, bytes("last words"));
    closeOwned(there);
    let got = "";
    let ended = false;
    const watch = reactor.watch(here, {
      readable() {
        const text = readText(here, 4);
        if (text === "") {
          ended = true;
          watch.close();
        } else got += text;
      },
    });
    await until(() => ended, "the end");
    expect(got).toBe("last words");
  });

  test("tells of a hang-up once, where there is nothing to read", async () => {
    const [from, to] = ownPipe();
    let calls = 0;
    reactor.watch(to, { hangup: () => calls++ }).awaitWritable();
    closeOwned(from);
    await until(() => calls > 0, "the hang-up");
    await roundTrip(reactor);
    expect(calls).toBe(1);
  });

  test("calls nothing after a watch has ended, not even for what was under way", async () => {
    const [from, to] = ownPipe();
    const [from2, to2] = ownPipe();
    const calls: string[] = [];
    const first = reactor.watch(from, {
      readable() {
        calls.push("first");
        first.close();
        second.close();
      },
    });
    const second = reactor.watch(from2, {
      readable() {
        calls.push("second");
        first.close();
        second.close();
      },
    });
    write(to, bytes("."));
    write(to2, bytes("."));
    await until(() => calls.length > 0, "a call");
    await roundTrip(reactor);
    expect(calls).toHaveLength(1);
    expect(reactor.size).toBe(0);
  });

  test("does not mistake a new fd for an old one of the same number", async () => {
    const [from, to] = ownPipe();
    const [other] = ownPipe();
    let stale = 0;
    const watch = reactor.watch(from, { readable: () => stale++ });
    await roundTrip(reactor);
    write(to, bytes("."));
    // long enough for the message to be under way while this thread has not looked
    for (const end = performance.now() + 5; performance.now() < end; );
    watch.close();
    closeOwned(from);
    // a lower number may be free as well
    const again = dup(other, from);
    owned.push(again);
    expect(again).toBe(from);
    let fresh = 0;
    reactor.watch(again, { readable: () => fresh++ });
    await roundTrip(reactor);
    expect([stale, fresh]).toEqual([0, 0]);
  });

  test("goes on after a handler has thrown, and tells of it", async () => {
    const [from, to] = ownPipe();
    let got = "";
    reactor.watch(from, {
      readable() {
        got += readText(from);
        if (got === "a") throw new Error("a broken handler");
      },
    });
    write(to, bytes("a"));
    await until(() => errors.length === 1, "the error");
    expect(String(errors.pop())).toContain("a broken handler");
    write(to, bytes("b"));
    await until(() => got === "ab", "b");
  });

  test("refuses a regular file, which is always ready", () => {
    const fd = open(import.meta.path, O_CLOEXEC);
    own([fd]);
    expect(() => reactor.watch(fd, { readable() {} })).toThrow(SyscallError);
    expect(reactor.size).toBe(0);
  });

  test("takes a character device", async () => {
    const fd = open("/dev/ptmx", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    own([fd]);
    let calls = 0;
    reactor.watch(fd, { writable: () => calls++ }).awaitWritable();
    await until(() => calls === 1, "room");
  });
});

describe("closing a reactor", () => {
  test("frees its thread and its fds, also right after the start", async () => {
    // the first Worker of a process brings up threads that stay
    const first = new Reactor();
    await roundTrip(first);
    await first.close();
    const fdsBefore = openFds().length;
    const threadsBefore = threads();
    for (let i = 0; i < 5; i++) {
      const reactor = new Reactor();
      const [from, to] = pipe(O_CLOEXEC | O_NONBLOCK);
      reactor.watch(from, { readable() {} });
      await reactor.close();
      close(from);
      close(to);
    }
    const unused = new Reactor();
    await unused.close();
    await until(() => threads() <= threadsBefore, "the end of the threads");
    await until(() => openFds().length <= fdsBefore, "the end of the fds");
  });

  test("may be asked for twice, and ends watching", async () => {
    const reactor = new Reactor();
    await Promise.all([reactor.close(), reactor.close()]);
    expect(() => reactor.watch(0, {})).toThrow("the reactor is closed");
  });
});

describe("the reactor's thread", () => {
  test("blocks SIGUSR1 and never SIGPWR", async () => {
    const before = new Set(readdirSync("/proc/self/task"));
    const reactor = new Reactor();
    await roundTrip(reactor);
    const masks = readdirSync("/proc/self/task")
      .filter((tid) => !before.has(tid))
      .map((tid) => readFileSync(`/proc/self/task/${tid}/status`, "utf8"))
      .map((status) => BigInt(`0x${/SigBlk:\s*([0-9a-f]+)/.exec(status)?.[1]}`));
    await reactor.close();
    const blocking = masks.filter((mask) => (mask & (1n << 9n)) !== 0n);
    expect(blocking).toHaveLength(1);
    expect((blocking[0] as bigint) & (1n << 29n)).toBe(0n);
  });
});
