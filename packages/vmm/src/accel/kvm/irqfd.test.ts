import { describe, expect, test } from "bun:test";
import { kvmCases, withoutKvm } from "../../../test/kvm-cases.ts";
import type * as Irq from "../../../test/kvm-irq.ts";

const irq = kvmCases<typeof Irq>("kvm-irq.ts");

describe.skipIf(withoutKvm !== undefined)("interrupts of a guest (needs /dev/kvm)", () => {
  test("a message interrupts the vCPU it names", async () => {
    expect(await irq("message")).toEqual({ end: "done", taken: 1 });
  });

  test("an irqfd raises the message that its GSI is routed to", async () => {
    expect(await irq("irqfdAsMessage")).toEqual({ end: "done", taken: 1 });
  });

  test("an irqfd raises an IOAPIC pin", async () => {
    expect(await irq("irqfdAtPin")).toEqual({ end: "done", taken: 1 });
  });

  test("a resample eventfd is signalled when the guest ends a level-triggered interrupt", async () => {
    expect(await irq("resample")).toEqual({ end: "done", taken: 1, before: 0, resampled: 1 });
  });

  test("a line that is held up interrupts until it is lowered", async () => {
    const { end, afterLowering } = await irq("level");
    expect(end).toBe("done");
    // one may have been on its way
    expect(afterLowering).toBeLessThanOrEqual(1);
  });

  test("the PIT interrupts at IOAPIC pin 2, as the MADT says", async () => {
    expect(await irq("pitAtPin2")).toEqual({ end: "done", taken: 3 });
  });

  test("one eventfd serves one VM at a time", async () => {
    expect(await irq("twoVms")).toEqual({
      whileAssigned: "EBUSY",
      whileDetached: "none",
      taken: "EBUSY",
      again: "none",
    });
  });

  test("events that come while irqfds are detached interrupt exactly once when they are back", async () => {
    expect(await irq("detached")).toEqual({ end: "done", whileDetached: 0, taken: 1, left: 0 });
  });

  test("one irqfd that cannot be assigned again does not keep the others away", async () => {
    expect(await irq("reattachFails")).toEqual({ error: "EBADF", end: "done", taken: 1 });
  });
});

describe.skipIf(withoutKvm !== undefined)("doorbells of a guest (needs /dev/kvm)", () => {
  test("a write that matches signals its eventfd and never leaves the kernel; others reach the device", async () => {
    expect(await irq("doorbells")).toEqual({
      end: "done",
      counts: [
        [1, 1, 1],
        [0, 0, 0],
      ],
      logs: [["w1@0=7"], ["w2@0=1234", "w2@0=7", "w4@0=7", "w1@0=7"]],
    });
  });
});
