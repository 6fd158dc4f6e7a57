import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type GuestTask, printed } from "../../test/programs/char-ring-task.ts";
import { StateArena } from "../arena/state-arena.ts";
import { CHARDEV_SCHEMA, CharRing, HISTORY_SIZE, RX_SIZE, TX_SIZE } from "./char-ring.ts";

function newRing() {
  const arena = new StateArena();
  const rung = { count: 0 };
  const ring = new CharRing(arena, "c", () => rung.count++);
  return { arena, ring, rung };
}

/** The record as other code sees it: to set positions that a test does not want to wait for. */
function recordOf(arena: StateArena) {
  const [record] = arena.records();
  return CHARDEV_SCHEMA.layout.at(arena.buffer, record?.offset);
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (content: Uint8Array) => new TextDecoder().decode(content.slice());

function print(ring: CharRing, content: Uint8Array): void {
  for (const byte of content) ring.write(byte);
}

function drained(ring: CharRing): string {
  let all = "";
  ring.drain((chunk) => {
    all += text(chunk);
    return chunk.length;
  });
  return all;
}

function readAll(ring: CharRing): number[] {
  const got: number[] = [];
  for (let byte = ring.read(); byte >= 0; byte = ring.read()) got.push(byte);
  return got;
}

describe("what the guest writes", () => {
  test("comes out in order and once", () => {
    const { ring } = newRing();
    print(ring, bytes("hello "));
    expect(drained(ring)).toBe("hello ");
    print(ring, bytes("world"));
    expect(drained(ring)).toBe("world");
    expect(drained(ring)).toBe("");
  });

  test("rings the doorbell once until the main thread answers", () => {
    const { ring, rung } = newRing();
    print(ring, bytes("abc"));
    expect(rung.count).toBe(1);
    drained(ring);
    ring.write(1);
    expect(rung.count).toBe(1);
    ring.answer();
    ring.write(2);
    ring.write(3);
    expect(rung.count).toBe(2);
  });

  test("stays where the host side takes a part only", () => {
    const { ring } = newRing();
    print(ring, bytes("abcdef"));
    expect(ring.drain(() => 2)).toBe(2);
    expect(ring.undrained).toBe(4);
    expect(drained(ring)).toBe("cdef");
  });

  test("fills the ring and no more; the port is told when there is room again", () => {
    const { ring } = newRing();
    for (let i = 0; i < TX_SIZE; i++) {
      expect(ring.canWrite()).toBe(true);
      ring.write(i);
    }
    expect(ring.takeRoomAwaited()).toBe(false);
    expect(ring.canWrite()).toBe(false);
    ring.write(99);
    expect(ring.undrained).toBe(TX_SIZE);
    expect(ring.takeRoomAwaited()).toBe(false);
    ring.drain(() => 1);
    expect(ring.takeRoomAwaited()).toBe(true);
    expect(ring.takeRoomAwaited()).toBe(false);
    expect(ring.canWrite()).toBe(true);
  });

  test("is kept as history after it was drained, the newest of it", () => {
    const { ring } = newRing();
    expect(ring.history()).toHaveLength(0);
    print(ring, bytes("first"));
    drained(ring);
    expect(text(ring.history())).toBe("first");
    for (let i = 0; i < TX_SIZE; i++) {
      ring.write(printed(i));
      ring.discard();
    }
    const history = ring.history();
    expect(history).toHaveLength(HISTORY_SIZE);
    expect(history.every((byte, i) => byte === printed(i + 1))).toBe(true);
  });

  test("is counted in 64 bits, and the history goes on across 2^32", () => {
    const { arena, ring } = newRing();
    const start = 2n ** 32n - 3n;
    const record = recordOf(arena);
    record.written = start;
    record.drained = start;
    print(ring, bytes("abcdefgh"));
    expect(record.written).toBe(start + 8n);
    expect(drained(ring)).toBe("abcdefgh");
    expect(record.drained).toBe(start + 8n);
    expect(text(ring.history().subarray(-8))).toBe("abcdefgh");
    expect(text(ring.copyFrom((ring.written - 6) >>> 0) as Uint8Array)).toBe("cdefgh");
  });

  test("is not there any more for a reader that fell behind", () => {
    const { ring } = newRing();
    for (let i = 0; i < TX_SIZE + 10; i++) {
      ring.write(i);
      ring.discard();
    }
    expect(ring.copyFrom(0)).toBeUndefined();
    expect(ring.copyFrom(10)).toBeUndefined();
    expect(ring.copyFrom(ring.oldest)).toHaveLength(HISTORY_SIZE);
    expect(ring.copyFrom(ring.written)).toHaveLength(0);
    expect(ring.copyFrom(ring.written + 1)).toBeUndefined();
  });
});

describe("what the guest reads", () => {
  test("comes in order; -1 where there is nothing", () => {
    const { ring } = newRing();
    expect(ring.read()).toBe(-1);
    expect(ring.push(bytes("ab"))).toBe(2);
    expect(ring.readable()).toBe(2);
    expect(readAll(ring)).toEqual([97, 98]);
    expect(ring.readable()).toBe(0);
  });

  test("is accepted as far as there is room; the doorbell rings when half is free", () => {
    const { ring, rung } = newRing();
    const input = new Uint8Array(RX_SIZE + 100).map((_, i) => i);
    expect(ring.push(input)).toBe(RX_SIZE);
    expect(ring.push(input.subarray(RX_SIZE))).toBe(0);
    for (let i = 0; i < RX_SIZE / 2 - 1; i++) ring.read();
    expect(rung.count).toBe(0);
    ring.read();
    expect(rung.count).toBe(1);
    expect(ring.push(input.subarray(RX_SIZE))).toBe(100);
    expect(readAll(ring)).toEqual([...input.subarray(RX_SIZE / 2)]);
    expect(rung.count).toBe(1);
  });

  test("tells the port only when the main thread says so", () => {
    const { ring } = newRing();
    let calls = 0;
    ring.onEvent(() => calls++);
    ring.push(bytes("x"));
    expect(calls).toBe(0);
    ring.notify();
    expect(calls).toBe(1);
  });

  test("agrees with a queue under any mix of calls", () => {
    const step = fc.oneof(
      fc.record({ push: fc.uint8Array({ maxLength: RX_SIZE + 50 }) }),
      fc.record({ read: fc.nat(RX_SIZE) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const { ring } = newRing();
        const queue: number[] = [];
        for (const s of steps) {
          if ("push" in s) queue.push(...s.push.subarray(0, ring.push(s.push)));
          else for (let i = 0; i < s.read; i++) expect(ring.read()).toBe(queue.shift() ?? -1);
          expect(ring.readable()).toBe(queue.length);
          expect(ring.space).toBe(RX_SIZE - queue.length);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("a loaded record", () => {
  test("keeps what was not drained and not read, and the history", () => {
    const { arena, ring } = newRing();
    print(ring, bytes("printed"));
    ring.drain(() => 3);
    ring.push(bytes("typed"));
    ring.setReaderPosition(15, 3);
    const copy = new StateArena();
    const loaded = new CharRing(copy, "c", () => {});
    const [record] = arena.records();
    const [target] = copy.records();
    if (!record || !target) throw new Error("no record");
    copy.bytesOf(target).set(arena.bytesOf(record));
    loaded.repair();
    expect(drained(loaded)).toBe("nted");
    expect(text(loaded.history())).toBe("printed");
    expect(text(Uint8Array.from(readAll(loaded)))).toBe("typed");
    expect(loaded.readerPosition(15)).toBe(3);
    expect(loaded.readerPosition(0)).toBe(0);
  });

  test("with positions that make no sense is put right", () => {
    const { arena, ring } = newRing();
    const record = recordOf(arena);
    record.written = 5n;
    record.drained = 9n;
    record.received = 1_000_000n;
    ring.repair();
    expect(ring.undrained).toBe(0);
    expect(ring.readable()).toBe(0);
    expect(ring.canWrite()).toBe(true);
    ring.push(bytes("ok"));
    expect(readAll(ring)).toHaveLength(2);
  });
});

describe("between two threads", () => {
  /** Runs the guest side in a Worker. `serve` is the main thread's work after each doorbell, and after the end. */
  async function withGuest(task: Omit<GuestTask, "arena">, serve: (ring: CharRing) => void) {
    const arena = new StateArena();
    const ring = new CharRing(arena, "c", () => {});
    const worker = new Worker(new URL("../../test/programs/char-ring-guest.ts", import.meta.url));
    try {
      const rings = await new Promise<number>((resolve, reject) => {
        worker.onmessage = ({ data }) => {
          ring.answer();
          serve(ring);
          if (data !== "ring") resolve(data.rings);
        };
        worker.onerror = (event) => reject(new Error(event.message));
        worker.postMessage({ ...task, arena: arena.buffer } satisfies GuestTask);
        serve(ring);
      });
      return { ring, rings };
    } finally {
      worker.terminate();
    }
  }

  test("no byte is lost, repeated or changed, through many turns of the ring", async () => {
    const count = 20 * TX_SIZE + 17;
    let at = 0;
    let wrong = 0;
    const { ring } = await withGuest({ kind: "print", count }, (ring) => {
      ring.drain((chunk) => {
        for (const byte of chunk) if (byte !== printed(at++)) wrong++;
        return chunk.length;
      });
    });
    expect([at, wrong]).toEqual([count, 0]);
    expect(ring.history()).toHaveLength(HISTORY_SIZE);
  });

  test("history taken while the guest prints is whole", async () => {
    let checked = 0;
    const { rings } = await withGuest({ kind: "print", count: 20 * TX_SIZE }, (ring) => {
      ring.discard();
      const history = ring.history();
      const first = history[0];
      if (first === undefined) return;
      // successive bytes of the sequence, wherever it begins
      let value = first;
      for (const byte of history) {
        if (byte !== value) throw new Error("the history is torn");
        value = (value + 1) % 251;
      }
      checked++;
    });
    expect(checked).toBeGreaterThan(0);
    expect(rings).toBeGreaterThan(0);
  });

  test("an echo gives back all that was pushed, with back-pressure both ways", async () => {
    const input = new Uint8Array(10 * RX_SIZE).map((_, i) => printed(i));
    let sent = 0;
    const echoed: number[] = [];
    await withGuest({ kind: "echo", count: input.length }, (ring) => {
      sent += ring.push(input.subarray(sent));
      ring.drain((chunk) => {
        echoed.push(...chunk);
        return chunk.length;
      });
    });
    expect(Uint8Array.from(echoed)).toEqual(input);
  });
});
