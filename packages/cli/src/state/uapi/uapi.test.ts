import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { gcc, probeConstants, probeLayouts } from "@vmm/libc/testing";
import { KVM_IOAPIC_NUM_PINS, KvmIoapicState, KvmPicState } from "./irqchip.ts";
import { msrName } from "./msr-names.ts";
import { bitNames, CR0_BITS } from "./registers.ts";
import { XsaveHead } from "./xsave.ts";

const missing = gcc === null || !existsSync("/usr/include/linux/kvm.h");

test.skipIf(missing)("the interrupt controllers' states are those of the system's header (needs gcc)", () => {
  const headers = ["linux/kvm.h"];
  expect(probeLayouts([KvmPicState, KvmIoapicState], { headers })).toEqual([]);
  expect(probeConstants({ KVM_IOAPIC_NUM_PINS }, { headers })).toEqual([]);
});

test("the head of an XSAVE area has the places of the processor's manual", () => {
  const { fcw, mxcsr, st, xmm, software, xstate_bv } = XsaveHead.offsets;
  expect([fcw, mxcsr, st, xmm, software, xstate_bv]).toEqual([0, 24, 32, 160, 464, 512]);
  expect(XsaveHead.size).toBe(576);
});

test("MSRs have their names, alone and in rows, or their number", () => {
  expect([0x277, 0xc0000080, 0x4b564d01].map(msrName)).toEqual([
    "IA32_PAT",
    "EFER",
    "MSR_KVM_SYSTEM_TIME_NEW",
  ]);
  expect([0x201, 0x26f, 0x405, 0x287].map(msrName)).toEqual([
    "IA32_MTRR_PHYSMASK0",
    "IA32_MTRR_FIX4K_F8000",
    "IA32_MC1_STATUS",
    "IA32_MC7_CTL2",
  ]);
  expect(msrName(0xdeadbeef)).toBe("msr_0xdeadbeef");
});

test("bits are named in their order", () => {
  expect(bitNames(0x80000011n, CR0_BITS)).toBe("PE ET PG");
  expect(bitNames(0n, CR0_BITS)).toBe("");
});
