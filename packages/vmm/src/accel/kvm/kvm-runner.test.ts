import { describe, expect, test } from "bun:test";
import { kvmCases, withoutKvm } from "../../../test/kvm-cases.ts";
import type * as Race from "../../../test/kvm-race.ts";

const race = kvmCases<typeof Race>("kvm-race.ts");

/** Numbers that a round of the guest takes from the device's port. */
const PER_ROUND = 4;

describe.skipIf(withoutKvm !== undefined)("a vCPU in its own thread (needs /dev/kvm)", () => {
  test("loses and repeats no access in 500 pauses, whatever it is in the middle of", async () => {
    const { rounds, unaccounted, ...rest } = await race("pauseStorm");
    expect(rest).toEqual({ moved: 0, whilePaused: 0, wrong: 0, ended: 0 });
    expect(rounds).toBeGreaterThan(100);
    // the round that the last pause cut short
    expect(unaccounted).toBeGreaterThanOrEqual(0);
    expect(unaccounted).toBeLessThanOrEqual(PER_ROUND);
  });

  test("goes on in a new VM and a new thread where the pause cut it off, 20 times", async () => {
    const { rounds, unaccounted, ...rest } = await race("moveStorm");
    expect(rest).toEqual({ moved: 20, whilePaused: 0, wrong: 0, ended: 0 });
    expect(rounds).toBeGreaterThan(20);
    expect(unaccounted).toBeGreaterThanOrEqual(0);
    expect(unaccounted).toBeLessThanOrEqual(PER_ROUND);
  });

  test("that sleeps in hlt is paused, moved, and woken by an interrupt", async () => {
    // 3 is KVM_MP_STATE_HALTED
    expect(await race("asleep")).toEqual({ state: 3, before: 1, after: 2, taken: 1 });
  });
});
