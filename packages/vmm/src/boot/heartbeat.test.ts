import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { access, R_OK, W_OK } from "@vmm/libc";
import { heartbeatBzImage, heartbeatElf } from "../../test/guest-files.ts";
import { plainMemory } from "../../test/plain-memory.ts";
import { type HeartbeatReport, type HeartbeatRun, PORTS } from "../../test/run-heartbeat.ts";
import { ENTRY, IMAGE } from "./heartbeat/image.ts";
import {
  CODE,
  COUNT_STRIDE,
  DATA,
  FAULTS,
  HEARTBEAT,
  HEARTBEAT_KEYS,
  PARAMETERS,
  TICK_INTERRUPTS,
} from "./heartbeat/map.ts";
import { heartbeatProgram } from "./heartbeat/program.ts";
import { loadHeartbeat } from "./heartbeat.ts";

const MAP = [{ base: 0, size: 0xa0000, type: 1 as const }];

test("the image is what its source assembles to (if not, run heartbeat/build-image.ts)", () => {
  const { code, entry } = heartbeatProgram();
  expect(ENTRY).toBe(entry);
  expect(Uint8Array.fromBase64(IMAGE).toHex()).toBe(code.toHex());
});

test("loading it leaves nothing of an earlier run", () => {
  using ram = plainMemory([{ gpa: 0, size: 0xa0000 }]);
  const info = { memory: ram.memory, memoryMap: MAP, lowRamEnd: 0xa0000, rsdp: 0, cpus: 1 };
  loadHeartbeat(info, PORTS);
  const fresh = ram.memory.view(0, 0xa0000).toHex();
  ram.memory.view(DATA.start, DATA.end - DATA.start).fill(0xaa);
  expect(loadHeartbeat(info, PORTS)).toEqual({ eip: ENTRY });
  expect(ram.memory.view(0, 0xa0000).toHex()).toBe(fresh);
  expect(ram.memory.dataView(PARAMETERS.pm1aControl, 4).getUint32(0, true)).toBe(PORTS.pm1aControl);
});

test("it says so where its low addresses are not RAM", () => {
  using ram = plainMemory([{ gpa: 0, size: 0x4000 }]);
  const memoryMap = [{ base: 0, size: 0x4000, type: 1 as const }];
  const info = { memory: ram.memory, memoryMap, lowRamEnd: 0x4000, rsdp: 0, cpus: 1 };
  expect(() => loadHeartbeat(info, PORTS)).toThrow("needs the first 64 KiB to be RAM");
});

async function run(spec: HeartbeatRun): Promise<HeartbeatReport> {
  const program = join(import.meta.dir, "../../test/run-heartbeat.ts");
  const child = Bun.spawn([process.execPath, program, JSON.stringify(spec)], { stderr: "inherit" });
  return JSON.parse(await child.stdout.text());
}

interface Tick {
  readonly n: number;
  readonly count: number;
  readonly secret: string;
  readonly input: string | undefined;
}

/** The tick lines of a console; anything else there is an error. */
function ticksOf(console: string): Tick[] {
  return console
    .split("\r\n")
    .slice(0, -1)
    .map((line) => {
      const match = /^tick (\d+) count ([0-9a-f]{8}) secret ([0-9a-f]{8})(?: input (.*))?$/.exec(line);
      if (!match) throw new Error(`not a tick line: ${JSON.stringify(line)}`);
      const [, n, count = "", secret = "", input] = match;
      return { n: Number(n), count: Number.parseInt(count, 16), secret, input };
    });
}

describe.skipIf(!access("/dev/kvm", R_OK | W_OK))("the heartbeat guest under KVM (needs /dev/kvm)", () => {
  test("counts, takes timer interrupts and prints ticks one by one", async () => {
    const report = await run({ cpus: 1, lines: 12 });
    expect(report.end).toBe("lines");
    const ticks = ticksOf(report.console);
    expect(ticks.map((t) => t.n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(new Set(ticks.map((t) => t.secret)).size).toBe(1);
    for (const [i, tick] of ticks.entries())
      if (i) expect(tick.count).toBeGreaterThan(ticks[i - 1]?.count ?? 0);
    expect(report.words).toMatchObject({ TICKS: 11, FAULT: 0, STARTED: 0 });
    expect(report.words.INTERRUPTS).toBe(11 * TICK_INTERRUPTS);
    expect(report.words.SECRET).toBe(Number.parseInt(ticks[0]?.secret ?? "", 16));
  });

  test("has another secret each time", async () => {
    const [a, b] = await Promise.all([run({ cpus: 1, lines: 1 }), run({ cpus: 1, lines: 1 })]);
    expect(a.words.SECRET).not.toBe(b.words.SECRET);
  });

  test("counts on the other processors too", async () => {
    const report = await run({ cpus: 3, lines: 6 });
    expect(report.end).toBe("lines");
    expect(report.words).toMatchObject({ STARTED: 2, FAULT: 0 });
    for (const count of report.counts) expect(count).toBeGreaterThan(0);
  });

  test("echoes what comes in over the UART, as text", async () => {
    const report = await run({ cpus: 1, lines: 5, events: [{ after: 2, input: "a B~\n" }] });
    expect(ticksOf(report.console).map((t) => t.input)).toEqual([
      undefined,
      undefined,
      "a B~.",
      undefined,
      undefined,
    ]);
  });

  test("takes no more in one tick than a FIFO holds", async () => {
    const report = await run({ cpus: 1, lines: 3, events: [{ after: 1, input: "0123456789ABCDEFG" }] });
    expect(ticksOf(report.console).map((t) => t.input)).toEqual([undefined, "0123456789ABCDEF", "G"]);
  });

  test.each([
    ["powerOff", "power off 3400"],
    ["reset", "reset"],
    ["debugExit", "debug exit"],
    ["tripleFault", "exit 8"], // KVM_EXIT_SHUTDOWN
  ] as const)("does as told by the key for %s", async (key, end) => {
    const report = await run({ cpus: 1, lines: 9, events: [{ after: 2, input: HEARTBEAT_KEYS[key] }] });
    expect(report).toMatchObject({ end, words: { TICKS: 2, FAULT: 0 } });
  });

  test("powers off when the power button is pressed", async () => {
    const report = await run({ cpus: 1, lines: 9, events: [{ after: 1, button: true }] });
    expect(report).toMatchObject({ end: "power off 3400", words: { TICKS: 1 } });
  });

  const { SECRET, SECRET_WORDS, COUNT } = HEARTBEAT;
  test.each([
    ["its count in RAM", COUNT, "count"],
    ["its secret in RAM", SECRET, "secret-register"],
    ["a word of what xmm0 holds", SECRET_WORDS + 12, "secret-xmm"],
  ] as const)("finds out that %s was changed", async (_, address, fault) => {
    const report = await run({ cpus: 1, lines: 9, events: [{ after: 2, poke: [address, 0xdeadbeef] }] });
    expect(report.end).toBe("fault");
    expect(report.console).toMatch(
      new RegExp(`heartbeat: FAULT ${fault} cpu 0 register [0-9a-f]{8} ram deadbe..\r\n$`),
    );
    expect(report.words.FAULT).toBe(FAULTS.indexOf(fault));
  });

  test("tells of a count that was changed under another processor", async () => {
    // One write can be overwritten by the count that is just under way.
    const events = [2, 3, 4, 5].map((after) => ({
      after,
      poke: [COUNT + COUNT_STRIDE, 0xdeadbeef] as const,
    }));
    const report = await run({ cpus: 2, lines: 9, events });
    expect(report.end).toBe("fault");
    expect(report.console).toMatch(/heartbeat: FAULT count cpu 1 register [0-9a-f]{8} ram deadbe..\r\n$/);
    expect(report.words.FAULT_CPU).toBe(1);
  });

  test("tells of an exception, with its vector and address", async () => {
    const { code, loop } = heartbeatProgram();
    // The guest returns to the loop between any two instructions, so ud2 takes the place of the start of one: the second.
    const address = loop + 1;
    const word = new DataView(code.buffer, code.byteOffset + address - CODE, 4).getUint32(0, true);
    const ud2 = ((word & ~0xffff) | 0x0b0f) >>> 0;
    const report = await run({ cpus: 1, lines: 9, events: [{ after: 2, poke: [address, ud2] }] });
    const text = address.toString(16).padStart(8, "0");
    expect(report.console).toEndWith(`heartbeat: FAULT exception cpu 0 register 00000006 ram ${text}\r\n`);
  });

  describe("inside a kernel file", () => {
    let folder = "";
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "heartbeat-"));
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    test.each([
      ["a 64-bit ELF file with a PVH note", () => heartbeatElf(64, PORTS)],
      ["a 32-bit ELF file with a PVH note", () => heartbeatElf(32, PORTS)],
      ["a bzImage", () => heartbeatBzImage(PORTS)],
    ])("starts from %s", async (name, make) => {
      const kernel = join(folder, name.replaceAll(/\W/g, "-"));
      await Bun.write(kernel, make());
      const report = await run({ cpus: 1, lines: 2, kernel });
      expect(ticksOf(report.console).map((t) => t.n)).toEqual([0, 1]);
    });
  });
});

const QEMU = "qemu-system-x86_64";

test.skipIf(!Bun.which(QEMU))(`the heartbeat guest runs under another machine (needs ${QEMU})`, async () => {
  const folder = mkdtempSync(join(tmpdir(), "heartbeat-qemu-"));
  const kernel = join(folder, "heartbeat.elf");
  // QEMU's PIIX4 powers off by sleep type 0.
  await Bun.write(kernel, heartbeatElf(64, { pm1aControl: 0x604, powerOffValue: 0x2000 }));
  const machine = [
    "-accel",
    "tcg",
    "-machine",
    "pc",
    "-smp",
    "2",
    "-m",
    "16",
    "-nodefaults",
    "-display",
    "none",
  ];
  const child = Bun.spawn([QEMU, ...machine, "-kernel", kernel, "-serial", "stdio", "-no-reboot"], {
    stdin: "pipe",
    timeout: 20_000,
  });
  try {
    let console = "";
    let isAsked = false;
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      console += chunk;
      if (isAsked || !console.includes("tick 3 ")) continue;
      isAsked = true;
      child.stdin.write(HEARTBEAT_KEYS.powerOff);
      child.stdin.flush();
    }
    expect(await child.exited).toBe(0);
    const ticks = ticksOf(console);
    expect(ticks.length).toBeGreaterThan(3);
    expect(ticks.map((t) => t.n)).toEqual(ticks.map((_, i) => i));
  } finally {
    child.kill();
    await child.exited;
    rmSync(folder, { recursive: true });
  }
});
