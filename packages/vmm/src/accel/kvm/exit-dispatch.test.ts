import { describe, expect, test } from "bun:test";
import { E } from "@vmm/libc";
import { kvmCases, withoutKvm } from "../../../test/kvm-cases.ts";
import type * as Exits from "../../../test/kvm-exits.ts";
import { Bus } from "../../bus/bus.ts";
import { DeviceLock } from "../../device/device-lock.ts";
import type { VcpuExitReport } from "../accelerator.ts";
import { ExitDispatch } from "./exit-dispatch.ts";
import * as kvm from "./uapi/kvm.ts";
import { RUN } from "./uapi/kvm.ts";

const exits = kvmCases<typeof Exits>("kvm-exits.ts");

describe.skipIf(withoutKvm !== undefined)("exits of a guest (needs /dev/kvm)", () => {
  test("port accesses of every width reach the device, and nobody's port reads as ones", async () => {
    expect(await exits("portAccess")).toEqual({
      end: "done",
      log: ["w1@0=44", "w2@0=3344", "w4@0=11223344", "r1@0", "r2@0", "r4@0"],
      read: ["555555bb", "5555aabb", "8899aabb", "ff", "ffff", "ffffffff"],
    });
  });

  test.each([
    ["shortStrings", 20],
    ["longStrings", 5000],
  ] as const)("string instructions move each element once and in order (%s)", async (name, count) => {
    expect(await exits(name)).toEqual({
      end: "done",
      written: 2 * count,
      outBytes: true,
      outWords: true,
      inBytes: true,
      inWords: true,
      rest: 0,
      edi: 4 * count,
    });
  });

  test("memory accesses of 1 to 16 bytes reach the device, 4 bytes at a time at the most", async () => {
    const { end, log, read } = await exits("memoryAccess");
    expect(end).toBe("done");
    expect(log).toEqual([
      ...["w1@10=44", "w2@10=3344", "w4@10=11223344", "r1@20", "r2@21", "r4@22"],
      ...["r4@0", "r4@4", "w4@0=a0b0c000", "w4@4=a0b0c004"],
      ...["r4@40", "r4@44", "r4@48", "r4@4c"],
      ...["w4@50=a0b0c040", "w4@54=a0b0c044", "w4@58=a0b0c048", "w4@5c=a0b0c04c"],
    ]);
    expect(read).toEqual(["20", "c021", "a0b0c022", "a0b0c000", "a0b0c004"]);
  });

  test("memory that nobody claims reads as ones and drops what is written", async () => {
    expect(await exits("nobodysMemory")).toEqual({ end: "done", read: ["ff", "ffff", "ffffffff"] });
  });

  test("an access across a page reaches the device in parts that a device knows: 1, 2 or 4 bytes", async () => {
    const { end, log, read } = await exits("acrossPages");
    expect(end).toBe("done");
    expect(log).toEqual([
      ...["w1@fff=44", "w2@1000=2233", "w1@1002=11", "r1@fff", "r2@1000", "r1@1002"],
      ...["w2@ffe=3344", "w2@1000=1122", "r2@ffe", "r2@1000"],
      ...["w2@ffd=3344", "w1@fff=22", "w1@1000=11", "r2@ffd", "r1@fff", "r1@1000"],
    ]);
    expect(read).toEqual(["20100ff", "100fffe", "fffefd"]);
  });

  test("an instruction that reads and writes a device, or copies a block, makes each access once", async () => {
    expect(await exits("readModifyWrite")).toEqual({
      end: "done",
      log: [
        ...["r4@0", "w4@0=101", "r4@10", "r4@14", "r4@18", "r4@1c"],
        ...["w4@20=110", "w4@24=114", "w4@28=118", "w4@2c=11c"],
      ],
    });
  });

  test("a triple fault asks for a reset, after which the guest runs again", async () => {
    expect(await exits("tripleFault")).toEqual({ first: "reset", second: "done", count: 2 });
  });

  test("an instruction that KVM cannot emulate becomes a report with registers", async () => {
    const { end, reports, registers } = await exits("jumpToNowhere");
    expect(end).toBe("internal-error");
    expect(reports).toHaveLength(1);
    expect(reports[0]?.detail).toStartWith("suberror 1 (emulation failure)");
    expect(registers).toContain("RIP=00000000d0000000");
  });

  test("memory that the host does not give becomes a report, not a crash", async () => {
    const { end, reports, read } = await exits("memoryGone");
    // a KVM that emulates every instruction takes it for a device's memory
    if (end === "done") expect(read).toBe(0xffffffff);
    else expect(reports.map((r) => r.kind)).toEqual([end as "memory-fault" | "run-failed"]);
  });
});

/** An exit as the kernel would describe it, and what becomes of it. */
function dispatched(reason: number, fill: (run: DataView) => void, act = (d: ExitDispatch) => d.serve()) {
  const run = new DataView(new ArrayBuffer(4096));
  run.setUint32(RUN.EXIT_REASON, reason, true);
  fill(run);
  const reports: VcpuExitReport[] = [];
  let resets = 0;
  const sink = { reset: () => resets++, report: (report: VcpuExitReport) => reports.push(report) };
  const lock = new DeviceLock(new Int32Array(new SharedArrayBuffer(4)), 0);
  const targets = { pio: new Bus("I/O port", 0x10000), mmio: new Bus("memory", 2 ** 52), lock, sink };
  act(new ExitDispatch(run, targets, 3));
  return { reports: reports.map(({ vcpu, kind, detail }) => `cpu ${vcpu}: ${kind}: ${detail}`), resets };
}

describe("exits that no guest here can be made to take", () => {
  test("a failed entry is reported with the hardware's reason", () => {
    const { reports } = dispatched(kvm.KVM_EXIT_FAIL_ENTRY, (run) =>
      run.setBigUint64(RUN.FAIL_REASON, 0x80000021n, true),
    );
    expect(reports).toEqual(["cpu 3: fail-entry: hardware reason 0x80000021"]);
  });

  test("an internal error is reported with all its data, of which there are at most 16 words", () => {
    const { reports } = dispatched(kvm.KVM_EXIT_INTERNAL_ERROR, (run) => {
      run.setUint32(RUN.INTERNAL_SUBERROR, 3, true);
      run.setUint32(RUN.INTERNAL_NDATA, 1000, true);
      run.setBigUint64(RUN.INTERNAL_DATA + 8 * 15, 0xabcn, true);
    });
    expect(reports).toEqual([
      `cpu 3: internal-error: suberror 3 (delivery of an event), data ${"0x0 ".repeat(15)}0xabc`,
    ]);
  });

  test("a system event resets where it says so, and is reported else", () => {
    const event = (type: number) =>
      dispatched(kvm.KVM_EXIT_SYSTEM_EVENT, (run) => run.setUint32(RUN.SYSTEM_EVENT_TYPE, type, true));
    expect(event(kvm.KVM_SYSTEM_EVENT_RESET)).toEqual({ reports: [], resets: 1 });
    expect(event(kvm.KVM_SYSTEM_EVENT_CRASH)).toEqual({
      reports: ["cpu 3: system-event: type 3"],
      resets: 0,
    });
  });

  test("an exit reason that we do not know is reported, and one without meaning is not", () => {
    expect(dispatched(999, () => {}).reports).toEqual(["cpu 3: unknown-exit: exit reason 999"]);
    for (const reason of [kvm.KVM_EXIT_INTR, kvm.KVM_EXIT_HLT, kvm.KVM_EXIT_IRQ_WINDOW_OPEN]) {
      expect(dispatched(reason, () => {})).toEqual({ reports: [], resets: 0 });
    }
  });

  test("a failed KVM_RUN is reported by its errno, and by the address where memory is what lacks", () => {
    const fail = (d: ExitDispatch) => d.fail(E.EFAULT);
    const fault = (run: DataView) => run.setBigUint64(RUN.MEMORY_FAULT_GPA, 0x123456000n, true);
    expect(dispatched(0, fault, fail).reports).toEqual(["cpu 3: run-failed: KVM_RUN failed with EFAULT"]);
    expect(dispatched(kvm.KVM_EXIT_MEMORY_FAULT, fault, fail).reports).toEqual([
      "cpu 3: memory-fault: no memory at guest address 0x123456000: KVM_RUN failed with EFAULT",
    ]);
  });
});
