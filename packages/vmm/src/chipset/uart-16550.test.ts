import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { describeConformance } from "../../test/conformance.ts";
import { DeviceBench } from "../../test/device-bench.ts";
import { Uart16550 } from "./uart-16550.ts";

const BASE = 0x3f8;
const IRQ = 4;
const [DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => BASE + i) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
const FCR = IIR;

function powerOn(room = 1000) {
  const bench = new DeviceBench();
  const uart = new Uart16550(bench, { id: "serial0" });
  uart.reset();
  bench.port.setRoom(room);
  uart.resume();
  return { bench, uart, port: bench.port, in8: bench.in8, out8: bench.out8, line: () => bench.level(IRQ) };
}

const text = (value: string) => [...value].map((c) => c.charCodeAt(0));

describeConformance("the UART", (context) => new Uart16550(context, { id: "serial0" }));

describe("the UART's registers", () => {
  test("have the reset values of a 16550A with a connected peer", () => {
    const { in8 } = powerOn();
    expect([DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR].map(in8)).toEqual([0, 0, 1, 0, 0, 0x60, 0xb0, 0]);
  });

  test("come back to their reset values at a reset", () => {
    const { bench, uart, in8, out8, port, line } = powerOn();
    for (let i = 1; i < 8; i++) out8(BASE + i, 0x0f);
    port.type(1, 2, 3);
    bench.lock.with(() => uart.reset());
    expect([DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR].map(in8)).toEqual([0, 0, 1, 0, 0, 0x60, 0xb0, 0]);
    expect(line()).toBe(0);
  });

  test("show the divisor latch while DLAB is set", () => {
    const { in8, out8, port } = powerOn();
    out8(IER, 0x05);
    out8(LCR, 0x83);
    out8(DATA, 0x01);
    out8(IER, 0x02);
    expect([in8(DATA), in8(IER)]).toEqual([0x01, 0x02]);
    out8(LCR, 0x03);
    expect(in8(IER)).toBe(0x05);
    expect(port.sent).toEqual([]);
  });

  test("keep only the bits that a 16550A has", () => {
    const { in8, out8 } = powerOn();
    for (const port of [IER, MCR, SCR, LCR]) out8(port, 0xff);
    expect([MCR, SCR, LCR].map(in8)).toEqual([0x1f, 0xff, 0xff]);
    out8(LCR, 0x7f);
    expect(in8(IER)).toBe(0x0f);
  });

  test("are reached byte by byte through a wide access", () => {
    const { bench, in8 } = powerOn();
    bench.pio.write(LCR, 2, 0x0203);
    expect([in8(LCR), in8(MCR)]).toEqual([0x03, 0x02]);
    expect(bench.pio.read(LCR, 4)).toBe(0xb0600203);
  });

  test("lie where the options say", () => {
    const bench = new DeviceBench();
    const uart = new Uart16550(bench, { id: "serial1", base: 0x2f8, irq: 3 });
    uart.reset();
    uart.resume();
    expect(bench.in8(0x2fd)).toBe(0x60);
    expect(bench.in8(LSR)).toBe(0xff);
    bench.port.type(7);
    bench.out8(0x2f9, 1);
    expect(bench.level(3)).toBe(1);
  });
});

describe("the UART's transmitter", () => {
  test("hands each byte to the port in order and stays empty", () => {
    const { in8, out8, port } = powerOn();
    for (const byte of text("hello")) {
      expect(in8(LSR)).toBe(0x60);
      out8(DATA, byte);
    }
    expect(port.text()).toBe("hello");
  });

  test("is busy while the port takes nothing, and free again when it does", () => {
    const { in8, out8, port } = powerOn(1);
    out8(DATA, 65);
    expect(in8(LSR)).toBe(0);
    port.setRoom(3);
    expect(in8(LSR)).toBe(0x60);
    out8(DATA, 66);
    expect(port.text()).toBe("AB");
  });

  test("is seen free by a poll, before the event of the port", () => {
    const { in8, out8, port } = powerOn(1);
    out8(DATA, 65);
    expect(in8(LSR)).toBe(0);
    port.setRoom(1, "quietly");
    expect(in8(LSR)).toBe(0x60);
  });

  test("loses nothing of a burst of sixteen that began while there was room", () => {
    const { in8, out8, port } = powerOn(1);
    out8(FCR, 0x01);
    const burst = text("0123456789abcdef");
    for (const byte of burst) out8(DATA, byte);
    expect(port.text()).toBe("0");
    expect(in8(LSR)).toBe(0);
    port.setRoom(5);
    expect(in8(LSR)).toBe(0);
    port.setRoom(100);
    expect(in8(LSR)).toBe(0x60);
    expect(port.sent).toEqual(burst);
  });

  test("holds one byte more while the FIFOs are off", () => {
    const { out8, port } = powerOn(1);
    for (const byte of text("abc")) out8(DATA, byte);
    port.setRoom(100);
    expect(port.text()).toBe("ab");
  });

  test("keeps bytes before the first resume of a port that has no room", () => {
    const bench = new DeviceBench();
    const uart = new Uart16550(bench, { id: "serial0" });
    uart.reset();
    bench.out8(DATA, 65);
    expect(bench.in8(LSR)).toBe(0);
    bench.port.setRoom(10);
    expect(bench.port.text()).toBe("");
    uart.resume();
    expect(bench.port.text()).toBe("A");
  });

  test("drops what waits when its FIFO is cleared", () => {
    const { in8, out8, port } = powerOn(1);
    out8(FCR, 0x01);
    for (const byte of text("abc")) out8(DATA, byte);
    out8(FCR, 0x05);
    port.setRoom(100);
    expect(in8(LSR)).toBe(0x60);
    expect(port.text()).toBe("a");
  });

  test("sends any text whole and in order, however the host side takes it, if the guest obeys THRE", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(255), { maxLength: 200 }),
        fc.array(fc.nat(24), { minLength: 1 }),
        fc.boolean(),
        (message, rooms, fifo) => {
          const { in8, out8, port } = powerOn(0);
          if (fifo) out8(FCR, 0x01);
          let next = 0;
          for (let turn = 0; turn <= message.length; turn++) {
            port.setRoom((rooms[turn % rooms.length] as number) + 1);
            while (next < message.length && in8(LSR) & 0x20) {
              for (let i = 0; i < (fifo ? 16 : 1) && next < message.length; i++)
                out8(DATA, message[next++] as number);
            }
          }
          expect(port.sent).toEqual(message);
        },
      ),
    );
  });
});

describe("the UART's transmitter interrupt", () => {
  test("comes when it is enabled while the transmitter is empty, and goes when IIR tells it", () => {
    const { in8, out8, line } = powerOn();
    out8(IER, 0x02);
    expect(line()).toBe(1);
    expect(in8(IIR)).toBe(0x02);
    expect(line()).toBe(0);
    expect(in8(IIR)).toBe(0x01);
  });

  test("comes again for each rise of its enable bit, as Linux tests for", () => {
    const { in8, out8 } = powerOn();
    for (let i = 0; i < 2; i++) {
      out8(IER, 0x02);
      expect(in8(IIR)).toBe(0x02);
      out8(IER, 0x02);
      expect(in8(IIR)).toBe(0x01);
      out8(IER, 0);
    }
  });

  test("comes after each byte that was taken", () => {
    const { in8, out8, line } = powerOn();
    out8(IER, 0x02);
    in8(IIR);
    out8(DATA, 65);
    expect(line()).toBe(1);
    expect(in8(IIR)).toBe(0x02);
  });

  test("waits until the port has taken everything", () => {
    const { in8, out8, line, port } = powerOn(1);
    out8(IER, 0x02);
    in8(IIR);
    out8(DATA, 65);
    expect(line()).toBe(0);
    expect(in8(IIR)).toBe(0x01);
    port.setRoom(10);
    expect(line()).toBe(1);
    expect(in8(IIR)).toBe(0x02);
  });

  test("is not raised while the device is paused, but after it", () => {
    const { bench, uart, in8, out8, line, port } = powerOn(1);
    out8(IER, 0x03);
    in8(IIR);
    out8(DATA, 65);
    uart.pause();
    port.setRoom(10);
    port.type(1);
    expect(line()).toBe(0);
    bench.lock.with(() => uart.resume());
    expect(line()).toBe(1);
  });
});

describe("the UART's receiver", () => {
  test("gives bytes in order, with data ready until the last", () => {
    const { in8, out8, port } = powerOn();
    out8(FCR, 0x01);
    port.type(...text("hi"));
    expect(in8(LSR)).toBe(0x61);
    expect(in8(DATA)).toBe(104);
    expect(in8(LSR)).toBe(0x61);
    expect(in8(DATA)).toBe(105);
    expect(in8(LSR)).toBe(0x60);
    expect(in8(DATA)).toBe(0);
  });

  test("lets one reader drain all that the port has, without an overrun", () => {
    for (const fcr of [0x00, 0x01]) {
      const { in8, out8, port } = powerOn();
      out8(FCR, fcr);
      const typed = Array.from({ length: 300 }, (_, i) => i & 0xff);
      port.type(...typed);
      const got: number[] = [];
      while (got.length < 400 && in8(LSR) & 1) got.push(in8(DATA));
      expect(got).toEqual(typed);
    }
  });

  test("takes at most sixteen bytes from the port ahead of the guest", () => {
    const { out8, port } = powerOn();
    port.type(...Array(100).fill(1));
    expect(port.readable()).toBe(99);
    out8(FCR, 0x01);
    expect(port.readable()).toBe(83);
  });

  test("interrupts at each trigger level with 'data', below it with 'timeout'", () => {
    for (const [bits, level] of [
      [0x00, 1],
      [0x40, 4],
      [0x80, 8],
      [0xc0, 14],
    ] as const) {
      const { in8, out8, port, line } = powerOn();
      out8(FCR, 0x01 | bits);
      out8(IER, 0x01);
      expect(line()).toBe(0);
      for (let count = 1; count <= 16; count++) {
        port.type(count);
        expect(line()).toBe(1);
        expect(in8(IIR)).toBe(count >= level ? 0xc4 : 0xcc);
      }
      for (let count = 16; count > 0; count--) in8(DATA);
      expect(in8(IIR)).toBe(0xc1);
      expect(line()).toBe(0);
    }
  });

  test("interrupts with 'data' while the FIFOs are off", () => {
    const { in8, out8, port, line } = powerOn();
    out8(IER, 0x01);
    port.type(9);
    expect([line(), in8(IIR)]).toEqual([1, 0x04]);
    expect([in8(DATA), line(), in8(IIR)]).toEqual([9, 0, 0x01]);
  });

  test("drops what was received when its FIFO is cleared or switched", () => {
    for (const fcr of [0x03, 0x00]) {
      const { in8, out8, port } = powerOn();
      out8(FCR, 0x01);
      port.type(1, 2, 3);
      out8(FCR, fcr);
      expect(in8(LSR)).toBe(0x60);
    }
  });

  test("takes no other FIFO bits without the enable bit", () => {
    const { in8, out8, port } = powerOn();
    port.type(1);
    out8(FCR, 0xc6);
    expect([in8(LSR), in8(IIR), in8(DATA)]).toEqual([0x61, 0x01, 1]);
  });
});

describe("the UART's loopback", () => {
  test("turns modem outputs into inputs", () => {
    const { in8, out8 } = powerOn();
    out8(MCR, 0x10 | 0x0a); // OUT2 and RTS, as Linux tests for
    expect(in8(MSR) & 0xf0).toBe(0x90);
    for (const [mcr, msr] of [
      [0x01, 0x20],
      [0x02, 0x10],
      [0x04, 0x40],
      [0x08, 0x80],
    ] as const) {
      out8(MCR, 0x10 | mcr);
      expect(in8(MSR) & 0xf0).toBe(msr);
    }
    out8(MCR, 0);
    expect(in8(MSR) & 0xf0).toBe(0xb0);
  });

  test("tells changed inputs once, of the ring indicator only the end", () => {
    const { in8, out8, line } = powerOn();
    out8(MCR, 0x10);
    in8(MSR);
    out8(IER, 0x08);
    expect(line()).toBe(0);
    out8(MCR, 0x10 | 0x04);
    expect(in8(MSR)).toBe(0x40);
    out8(MCR, 0x10 | 0x01);
    expect([line(), in8(IIR)]).toEqual([1, 0x00]);
    expect(in8(MSR)).toBe(0x20 | 0x02 | 0x04);
    expect([line(), in8(MSR), in8(IIR)]).toEqual([0, 0x20, 0x01]);
  });

  test("gives back what is sent and sends nothing out", () => {
    const { in8, out8, port } = powerOn();
    out8(FCR, 0x01);
    out8(MCR, 0x10);
    for (const byte of text("loop")) out8(DATA, byte);
    expect(text("loop").map(() => in8(DATA))).toEqual(text("loop"));
    expect(port.sent).toEqual([]);
  });

  test("leaves the port's bytes for later", () => {
    const { in8, out8, port } = powerOn();
    out8(FCR, 0x01);
    out8(MCR, 0x10);
    port.type(...text("x"));
    expect(in8(LSR)).toBe(0x60);
    out8(MCR, 0);
    expect([in8(LSR), in8(DATA)]).toEqual([0x61, 120]);
  });

  test("reports an overrun: a FIFO keeps the old bytes, a lone register the new one", () => {
    const { in8, out8, line } = powerOn();
    out8(MCR, 0x10);
    out8(IER, 0x04);
    out8(DATA, 1);
    out8(DATA, 2);
    expect([line(), in8(IIR), in8(LSR)]).toEqual([1, 0x06, 0x63]);
    expect([line(), in8(LSR), in8(DATA)]).toEqual([0, 0x61, 2]);
    out8(FCR, 0x01);
    for (let i = 0; i < 17; i++) out8(DATA, i);
    expect(in8(LSR)).toBe(0x63);
    expect(Array.from({ length: 16 }, () => in8(DATA))).toEqual(Array.from({ length: 16 }, (_, i) => i));
  });
});

test("the UART ranks its interrupts: line status, data, transmitter, modem status", () => {
  const { in8, out8 } = powerOn();
  out8(MCR, 0x10);
  out8(IER, 0x0f);
  out8(DATA, 1);
  out8(DATA, 2);
  expect(in8(IIR)).toBe(0x06);
  in8(LSR);
  expect(in8(IIR)).toBe(0x04);
  in8(DATA);
  expect(in8(IIR)).toBe(0x02);
  expect(in8(IIR)).toBe(0x00);
  in8(MSR);
  expect(in8(IIR)).toBe(0x01);
});

test("the UART's line falls and rises between interrupts, since it is an edge that counts", () => {
  const { bench, in8, out8, port } = powerOn();
  out8(IER, 0x01);
  port.type(1);
  in8(DATA);
  port.type(2);
  expect(bench.edges.filter(({ gsi }) => gsi === IRQ).map(({ level }) => level)).toEqual([1, 0, 1]);
});

test("the UART is a 16550A to the steps of Linux's autoconfiguration", () => {
  const { in8, out8 } = powerOn();
  // There is a UART: IER keeps its four bits, and no more.
  out8(IER, 0);
  expect(in8(IER)).toBe(0);
  out8(IER, 0x0f);
  expect(in8(IER)).toBe(0x0f);
  out8(IER, 0);
  // No extended registers behind LCR 0xbf, and FIFOs that work.
  out8(LCR, 0xbf);
  out8(IIR, 0);
  out8(LCR, 0);
  out8(FCR, 0x01);
  expect(in8(IIR) & 0xc0).toBe(0xc0);
  // No enhanced feature register: what lies there is IIR, which is not 0.
  for (const lcr of [0x80, 0xbf]) {
    out8(LCR, lcr);
    expect(in8(IIR)).not.toBe(0);
  }
  // Not National's super I/O: behind LCR 0xe0, toggling loopback changes nothing.
  out8(LCR, 0xe0);
  const before = in8(IIR);
  out8(LCR, 0);
  out8(MCR, 0x10);
  out8(LCR, 0xe0);
  expect(in8(IIR)).toBe(before);
  out8(LCR, 0);
  out8(MCR, 0);
  // No FIFO of 64 bytes.
  out8(LCR, 0x80);
  out8(FCR, 0x21);
  expect(in8(IIR) & 0x20).toBe(0);
  // No XScale: the UART unit enable bit does not stick.
  out8(LCR, 0);
  out8(IER, 0x40);
  expect(in8(IER) & 0x40).toBe(0);
});

test("a loaded record with impossible FIFO counts is brought back into range", () => {
  const { bench, uart, in8, out8 } = powerOn();
  const record = bench.arena.records().find(({ name }) => name === "serial0");
  if (!record) throw new Error("no record");
  bench.arena.bytesOf(record).fill(0xff);
  bench.lock.with(() => {
    uart.postLoad();
    uart.resume();
  });
  out8(LCR, 0);
  for (let i = 0; i < 40; i++) in8(DATA);
  expect(in8(LSR) & 0x01).toBe(0);
});
