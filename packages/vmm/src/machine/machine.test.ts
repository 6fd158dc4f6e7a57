import { describe, expect, test } from "bun:test";
import { kvmCases, withoutKvm } from "../../test/kvm-cases.ts";
import type * as Resume from "../../test/kvm-resume.ts";

const resume = kvmCases<typeof Resume>("kvm-resume.ts");

describe.skipIf(withoutKvm !== undefined)("a machine (needs /dev/kvm)", () => {
  test("has no device used before all have resumed, and serves its vCPUs after each pause", async () => {
    const { rounds, served, early } = await resume("deviceAfterPause");
    expect(served).toBe(rounds);
    expect(early).toBe(0);
  });
});
