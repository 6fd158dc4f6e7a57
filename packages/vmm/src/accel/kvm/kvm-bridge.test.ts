import { describe, expect, test } from "bun:test";
import type * as Bridged from "../../../test/kvm-bridged.ts";
import { kvmCases, withoutKvm } from "../../../test/kvm-cases.ts";

const bridged = kvmCases<typeof Bridged>("kvm-bridged.ts");

describe.skipIf(withoutKvm !== undefined)("vCPUs before their threads are up (needs /dev/kvm)", () => {
  test("run, and their exits are served, until the thread takes over without a break in the sequence", async () => {
    const { unaccounted, ...rest } = await bridged("handOver");
    expect(rest).toEqual({
      order: ["taken over", "served"],
      bridged: true,
      bridgedLater: 0,
      wrong: 0,
      ended: 0,
    });
    // the round that the pause cut short
    expect(unaccounted).toBeWithin(0, 2);
  });

  test("wake each other, are handed over one by one, and stand still when they are", async () => {
    expect(await bridged("twoVcpus")).toEqual({ taken: [0, 1], ran: [true, true], still: true, wrong: 0 });
  });

  test("keep their threads from one exit to the next, and no longer than they are bridged", async () => {
    expect(await bridged("threads")).toEqual({ midway: [true, true], after: [false, false], wrong: 0 });
  });

  test("stand still, and leave no thread, where a device fails", async () => {
    const ended = { message: "the device failed", there: [false, false], still: true };
    expect(await bridged("deviceFails")).toEqual(ended);
  });

  test("stop behind the access by which the guest stopped the machine", async () => {
    // the `in` is the third instruction: behind it, with what it read in al
    expect(await bridged("stops")).toEqual({ taken: 0, count: 0, eax: "000000000000005a", eip: 11 });
  });

  test("run no instruction where they are stopped before the start", async () => {
    expect(await bridged("neverStarted")).toEqual({ count: 0, counts: true });
  });

  test("report what KVM cannot run, and end", async () => {
    expect(await bridged("fails")).toEqual({ ends: ["internal-error"] });
  });
});
