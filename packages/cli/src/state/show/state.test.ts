import { describe, expect, test } from "bun:test";
import { encodeState, type SavedRecord } from "@vmm/cpr";
import fc from "fast-check";
import {
  console,
  cpuid,
  HEADER,
  ioapic,
  lapic,
  msrs,
  opaque,
  registers,
  stateOf,
  structRecord,
  uart,
} from "../../../test/saved-state.ts";
import { diffStates } from "../diff-states.ts";
import { diffJson, stateJson } from "../state-json.ts";
import { diffLines } from "./diff.ts";
import { stateLines } from "./state.ts";

const shown = (...records: SavedRecord[]) => stateLines(stateOf(...records), 1234, false).join("\n");

/** What stands for a record, without its first line. */
const body = (record: SavedRecord, full = false) => stateLines(stateOf(record), 0, full).slice(9);

test("a state begins with who wrote it, when, in which mode, and of which machine", () => {
  expect(stateLines(stateOf(uart()), 1234, false).slice(0, 9)).toEqual([
    "Saved state: 1 record, 1234 bytes",
    "  writer   0.1.0",
    "  mode     cpr-exec",
    "  guest    ran, and is to run again",
    "  stopped  2026-01-02 03:04:05.678 UTC, 2 h after the host's boot",
    "  boot id  1d6f9c0e-0000-4000-8000-000000000001",
    "  machine  name web, cpus 1",
    "",
    "serial0                                           uart-16550 version 1, 21 bytes",
  ]);
});

test("a state shows which plug-ins and files of its host the VM used", () => {
  const config = {
    folder: "/run/vmm/web",
    memory: { backend: "file", path: "/var/ram" },
    boot: { kernel: "/boot/vmlinux", cmdline: "quiet" },
    chardevs: [{ id: "serial0", backend: "file", path: "/var/log/serial" }],
    devices: [{ driver: "disk", id: "d", image: "/var/disk" }],
    plugins: ["/opt/disk.ts", "other"],
  };
  const { header, records } = stateOf();
  const lines = stateLines({ header: { ...header, machine: { config } }, records }, 0, false);
  expect(lines).toContain('  plug-ins  "/opt/disk.ts", "other"');
  expect(lines).toContain("  files     /var/ram, /boot/vmlinux, /var/log/serial, /var/disk");
});

test("a record shows its version and the oldest that loads it", () => {
  expect(shown(uart({}, { version: 3, compat: 2 }))).toContain(
    "uart-16550 version 3, loads in version 2, 21 bytes",
  );
});

test("integers are in hex and decimal, and what is 0 is told in one line", () => {
  expect(body(uart())).toEqual(["  ier  5", "  lcr  0x83 (131)", "  0 or empty: scr, mcr, msr, fifo"]);
});

test("--full shows every field by itself", () => {
  expect(body(uart(), true)).toEqual([
    "  ier   5",
    "  lcr   0x83 (131)",
    "  scr   0",
    "  mcr   0",
    "  msr   0",
    "  fifo  16 bytes, all 0",
  ]);
});

describe("a console's record", () => {
  test("shows what the guest printed and has not read, in order and escaped", () => {
    const lines = body(console("\x1b[1mhello\r\nworld\\\xff", "abcdef", 4)).join("\n");
    expect(lines).toContain("  output    18 bytes\n    \\e[1mhello\\r\\n\n    world\\\\\\xff");
    expect(lines).toContain("  input     2 bytes\n    ef");
  });

  test("shows the last bytes of a ring that went round", () => {
    const text = "0123456789".repeat(5);
    expect(body(console(text)).join("\n")).toContain(`32 bytes\n    ${text.slice(-32)}`);
  });

  test("shows the rings as bytes where their positions make no sense", () => {
    const lines = body(console("hello", "abc", 5)).join("\n");
    expect(lines).toContain("|hello...........|");
    expect(lines).toContain("|abc.....|");
  });
});

describe("a vCPU's records", () => {
  test("show the registers as a dump", () => {
    const text = shown(...registers());
    expect(text).toContain("  rax 0000000000001234  rbx 0000000000000000  rcx 0000000000000000");
    expect(text).toContain("  r15 ffffffffffffffff  rip ffff800000001000");
    expect(text).toContain("  rflags    0000000000000246  PF ZF IF");
    expect(text).toContain("  cs   0010  base 0000000000000000  limit ffffffff  type b  dpl 0  64-bit");
    expect(text).toContain("  cr0       0000000080000011  PE ET PG");
    expect(text).toContain("  efer      0000000000000d01  SCE LME LMA NXE");
  });

  test("show the local APIC's registers, what is requested, and bytes that no register has", () => {
    const lines = body(lapic()).join("\n");
    expect(lines).toContain("id                      0x3000000 (50331648)  APIC 3");
    expect(lines).toContain("svr                     0x1ff (511)  enabled");
    expect(lines).toContain("lvt_timer               0x200ec (131308)  vector 0xec, periodic");
    expect(lines).toContain("irr                     0x31 (49) 0xec (236)");
    expect(lines).toContain("other                   1024 bytes");
  });

  test("show MSRs by name", () => {
    const lines = body(msrs([0x277, 0x7040600070406n], [0xc0000082, 0n], [0x123456, 5n]));
    expect(lines).toEqual([
      "  IA32_PAT      0x7040600070406  MSR 0x277",
      "  LSTAR         0",
      "  msr_0x123456  5  MSR 0x123456",
    ]);
  });

  test("show CPUID leaf by leaf, less those that say nothing", () => {
    const record = cpuid([0, 0, [0x1c, 0x68747541, 1, 2]], [2, 0, [0, 0, 0, 0]], [4, 2, [3, 4, 5, 6]]);
    expect(body(record)).toEqual([
      "  leaf              eax       ebx       ecx       edx",
      "  0x0               0000001c  68747541  00000001  00000002",
      "  0x4.2             00000003  00000004  00000005  00000006",
      "  and 1 leaves of 0",
    ]);
  });

  test("are shown as bytes where they have another size than they should", () => {
    expect(body(opaque("cpu0/kvm-msrs", "kvm-msrs", Uint8Array.of(9, 0, 0, 0, 1)))).toEqual([
      "  data  5 bytes",
      "    00000  09 00 00 00 01                                    |.....|",
    ]);
  });
});

test("the IOAPIC's pins are shown in words, and those that are alike together", () => {
  expect(body(ioapic()).filter((line) => line.includes("pin"))).toEqual([
    "  pin0 to pin3    0x10000 (65536)  masked",
    "  pin4            0x100000000000024  vector 0x24, to APIC 1",
    "  pin5 to pin8    0x10000 (65536)  masked",
    "  pin9            0xf0000000000a829  vector 0x29, active low, level, logical 0xf",
    "  pin10 to pin23  0x10000 (65536)  masked",
  ]);
});

describe("long bytes", () => {
  const data = Uint8Array.from({ length: 1000 }, (_, i) => i >> 2);

  test("are cut, and shown whole with --full", () => {
    const record = opaque("x", "y", data);
    expect(body(record).slice(-2)).toEqual([
      "    00060  18 18 18 18 19 19 19 19  1a 1a 1a 1a 1b 1b 1b 1b  |................|",
      "    ... 56 more lines; --full shows them",
    ]);
    expect(body(record, true)).toHaveLength(64);
  });

  test("leave out rows that repeat, but not the last", () => {
    const record = opaque("x", "y", new Uint8Array(100).fill(1, 0, 99));
    expect(body(record)).toEqual([
      "  data  100 bytes",
      "    00000  01 01 01 01 01 01 01 01  01 01 01 01 01 01 01 01  |................|",
      "    *",
      "    00060  01 01 01 00                                       |....|",
    ]);
  });
});

test("JSON has all of a state: wide integers as hex text, bytes as hex, printed text as text", () => {
  const json = stateJson(stateOf(uart({ fifo: Uint8Array.of(255) }), console("a\nb"), ...registers()), 99);
  expect(json).toMatchObject({ type: "saved-state", size: 99, header: HEADER });
  const [serial, chardev, regs, sregs] = JSON.parse(JSON.stringify(json)).records;
  expect(serial).toEqual({
    name: "serial0",
    kind: "uart-16550",
    version: 1,
    compat: 1,
    size: 21,
    fields: { ier: 5, lcr: 0x83, scr: 0, mcr: 0, msr: 0, fifo: `ff${"00".repeat(15)}` },
  });
  expect(chardev.fields).toMatchObject({ written: "0x3", rung: 0, output: "a\nb", input: "" });
  expect(regs.fields).toMatchObject({ r15: "0xffffffffffffffff", rbx: "0x0" });
  expect(sregs.fields.cs).toMatchObject({ selector: 16, limit: 0xffffffff, base: "0x0" });
});

describe("the difference of two states", () => {
  const lines = (a: readonly SavedRecord[], b: readonly SavedRecord[]) =>
    diffLines(diffStates(stateOf(...a), stateOf(...b)), ["a", "b"]);

  test("is nothing where they say the same", () => {
    expect(lines([uart(), lapic()], [uart(), lapic()])).toEqual([]);
  });

  test("names records and fields that differ, are new or are gone", () => {
    const grown = structRecord("new", "irq", { fields: [] } as never, new Uint8Array(1));
    const after = uart({ ier: 9, fifo: Uint8Array.of(1, 0, 0, 0, 0, 0, 7) }, { version: 2 });
    expect(lines([uart(), msrs()], [after, grown])).toEqual([
      "--- a",
      "+++ b",
      "",
      "serial0",
      "  record",
      "    - uart-16550 version 1, 21 bytes",
      "    + uart-16550 version 2, loads in version 1, 21 bytes",
      "  ier  5  ->  9",
      "  fifo  2 bytes differ",
      "    +0x0  00  ->  01",
      "    +0x6  00  ->  07",
      "",
      "- cpu0/kvm-msrs",
      "  kvm-msrs version 1, 8 bytes",
      "",
      "+ new",
      "  irq version 1, 1 byte",
    ]);
  });

  test("shows what the console printed meanwhile", () => {
    expect(lines([console("tick 0\n")], [console("tick 0\ntick 1\n")]).slice(3)).toEqual([
      "chardev:serial0",
      "  written  7  ->  0xe (14)",
      "  output  7 bytes more",
      "    + tick 1\\n",
    ]);
  });

  test("names registers, vectors and pins", () => {
    const [regs, sregs] = registers() as [SavedRecord, SavedRecord];
    const moved = { ...sregs, data: sregs.data.slice() };
    moved.data[0] = 1;
    expect(lines([regs, sregs, msrs([0x277, 1n])], [regs, moved, msrs([0x277, 2n])]).slice(3)).toEqual([
      "cpu0/kvm-sregs2",
      "  cs.base  0  ->  1",
      "",
      "cpu0/kvm-msrs",
      "  IA32_PAT  1  ->  2",
    ]);
  });

  test("tells differences of the header, also of times that look alike", () => {
    const other = { ...HEADER, running: false, stoppedBoottimeNs: HEADER.stoppedBoottimeNs + 1, machine: {} };
    const state = { header: other, records: [] };
    expect(diffStates({ header: HEADER, records: [] }, state).header).toEqual([
      { name: "running", before: "true", after: "false" },
      { name: "stoppedBoottimeNs", before: "7200000000000", after: "7200000000001" },
      { name: "machine.name", before: "web", after: "nothing" },
      { name: "machine.cpus", before: "1", after: "nothing" },
    ]);
  });
});

describe("any state that can be decoded", () => {
  const type = fc.oneof(
    fc.constantFrom("u8", "u16[4]", "u64", "kvm_segment", "kvm_xcr[2]", "u8[24]", "i64"),
    fc.string({ maxLength: 12 }),
  );
  const kinds = [
    "chardev",
    "kvm-lapic",
    "kvm-msrs",
    "kvm-cpuid",
    "kvm-regs",
    "kvm-xsave",
    "kvm-ioapic",
    "vm-clock",
  ];
  const name = fc.oneof(
    fc.constantFrom("tx", "rx", "written", "consumed", "received", "regs", "chip", "base", "leaf_0x1"),
    fc.string({ maxLength: 200, unit: "binary" }),
  );
  const record = fc.record({
    name: fc.string({ minLength: 1, maxLength: 200, unit: "grapheme-ascii" }),
    kind: fc.oneof(fc.constantFrom(...kinds), fc.string({ minLength: 1, maxLength: 200 })),
    version: fc.integer({ min: 1, max: 1e6 }),
    compat: fc.integer({ min: 1, max: 1e6 }),
    fields: fc.array(
      fc.record({
        name,
        type,
        offset: fc.integer({ min: 0, max: 8 }),
        size: fc.integer({ min: 0, max: 48 }),
      }),
      { maxLength: 8 },
    ),
    data: fc.uint8Array({ minLength: 56, maxLength: 600 }),
  });
  const records = fc.uniqueArray(record, { selector: (r) => r.name, maxLength: 4 });
  // wide characters take two columns each, and are the terminal's business
  const columns = (line: string) => [...line.replace(/[^\x20-\x7e]/gu, "")].length;
  const harmless = (lines: readonly string[]) => {
    expect(lines.filter((line) => columns(line) > 80 || /\p{Cc}/u.test(line))).toEqual([]);
  };

  test("is shown in 80 columns without control characters, and has JSON", () => {
    fc.assert(
      fc.property(records, fc.boolean(), (some, full) => {
        encodeState(HEADER, some);
        const state = { header: HEADER, records: some };
        harmless(stateLines(state, 1, full));
        expect(JSON.parse(JSON.stringify(stateJson(state, 1))).records).toHaveLength(some.length);
      }),
    );
  });

  test("can be compared with any other, and equals itself", () => {
    fc.assert(
      fc.property(records, records, (a, b) => {
        const [before, after] = [a, b].map((some) => ({ header: HEADER, records: some }));
        const diff = diffStates(before as never, after as never);
        harmless(diffLines(diff, ["a", "b"]));
        JSON.stringify(diffJson(diff));
        expect(diffStates(before as never, before as never).equal).toBe(true);
      }),
    );
  });
});
