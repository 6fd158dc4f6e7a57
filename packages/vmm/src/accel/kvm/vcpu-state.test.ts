import { describe, expect, test } from "bun:test";
import { kvmCases, withoutKvm } from "../../../test/kvm-cases.ts";
import type * as Pending from "../../../test/kvm-pending.ts";
import type * as State from "../../../test/kvm-state.ts";
import type * as Time from "../../../test/kvm-time.ts";

const state = kvmCases<typeof State>("kvm-state.ts");
const pending = kvmCases<typeof Pending>("kvm-pending.ts");
const time = kvmCases<typeof Time>("kvm-time.ts");
const hasTscOffsets = withoutKvm === undefined && (await time("tscOffsets"));

describe.skipIf(withoutKvm !== undefined)("saved state (needs /dev/kvm)", () => {
  test("is the same when it is saved again from a new VM that loaded it, but for the time", async () => {
    const { end, differences, records, ...values } = await state("roundTrip");
    expect(end).toBe("done");
    expect(differences).toEqual([]);
    expect(values).toEqual({
      xmm7: "7172737475767778797a7b7c7d7e7f80",
      dr3: "12345678",
      ebp: "0xbadc0e2" as unknown as bigint,
      picMask: 0xa5,
    });
    for (const kind of ["mp-state", "regs", "sregs2", "xsave", "debugregs", "lapic", "msrs", "tsc"]) {
      expect(records).toContain(`cpu0/kvm-${kind}`);
    }
    // what is pending is read last: reading the rest may change it
    expect(records.findLast((name) => name.startsWith("cpu0/"))).toBe("cpu0/kvm-vcpu-events");
    for (const kind of ["ioapic", "pic-master", "pic-slave", "pit2", "clock"]) {
      expect(records).toContain(`vm/kvm-${kind}`);
    }
  });

  test("of another processor is what a VM has that had loaded one before", async () => {
    const all = [true, true, true];
    expect(await time("lastOfTwo")).toEqual({ khz: all, fewerMsrs: all, otherOrder: all, cpuid: all });
  });

  test("that lay for long is told to a guest whose kvmclock can say so", async () => {
    expect(await time("toldOfPause")).toEqual({
      without: ["done", 0],
      refused: [],
      before: ["done", 0],
      told: ["done", 2],
    });
  });

  test("of a VM that was reset is that at power on", async () => {
    const { end, changed, differences } = await state("resetIsPowerOn");
    expect(end).toBe("done");
    expect(changed).toBeGreaterThan(50);
    expect(differences).toEqual([]);
  });

  test("lets the guest go on with its registers, x87 and SSE included, through one VM after another", async () => {
    const { ends, seen } = await state("goesOn");
    expect(ends).toEqual(["done"]);
    expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => [true, true, i + 1, "600df00d"]));
  });

  test.each([
    ["pendingMessage", "a message that the LAPIC has"],
    ["pendingAtPin", "an edge at an IOAPIC pin"],
    ["lapicTimer", "a LAPIC timer that runs"],
    ["pendingNmi", "an NMI"],
  ] as const)("delivers once, and after the move, what is pending: %s, %s", async (name) => {
    expect(await pending(name)).toEqual({ first: "done", before: 0, second: "done", taken: 1 });
  });

  test("delivers after the move what is pending: pendingPit, the PIT's interrupt", async () => {
    const { taken, ...rest } = await pending("pendingPit");
    expect(rest).toEqual({ first: "done", before: 0, second: "done" });
    // KVM starts a one-shot anew that is over: once more, unless it comes before the first is taken
    expect([1, 2]).toContain(taken);
  });

  test.each([
    ["pulseAtPic", "the PIC"],
    ["pulseAtIoapic", "the IOAPIC"],
  ] as const)("of the midst of a pulse of the PIT lets it tick on: %s, %s", async (name) => {
    expect(await pending(name)).toEqual({ first: "done", second: "done", ticks: 5 });
  });

  test("lets the TSC go on with the host's", async () => {
    const { first, second, khz, ms } = await time("clocks");
    const elapsed = (second - first) / khz;
    expect(elapsed).toBeGreaterThan(0);
    // building the new VM takes a part of it, so there is only a bound
    expect(elapsed).toBeLessThan(ms + 5000);
  });

  test("keeps the TSC's rate where the host has another, through a reset too", async () => {
    const { own, moved, reset, real } = await time("tscOfAnotherRate");
    expect([moved, reset, real]).toEqual([own + 1, own + 1, own + 1]);
  });
});

describe.skipIf(!hasTscOffsets)("saved state (needs a KVM that offsets the TSC)", () => {
  test("that is loaded after the host was booted moves the TSC on by the time that passed", async () => {
    const { hours } = await time("tscOnAnotherBoot");
    expect(hours).toBeGreaterThan(0.9999);
    expect(hours).toBeLessThan(1.01);
  });
});
