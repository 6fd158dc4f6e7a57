import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Fields, IoctlRequest, Layout } from "@vmm/libc";
import { evaluate, gcc, probeConstants, probeLayouts, probeRequests } from "@vmm/libc/testing";
import * as uapi from "./kvm.ts";

const header = "/usr/include/linux/kvm.h";
const missing = gcc === null || !existsSync(header);

const exported = Object.entries(uapi) as [string, unknown][];
const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const layouts = exported.flatMap(([, v]) => (isObject(v) && "fields" in v ? [v as Layout<Fields>] : []));
const requests = exported.flatMap(([, v]) => (isObject(v) && "number" in v ? [v as IoctlRequest] : []));
const numbers = Object.fromEntries(
  exported.filter(([name]) => name.startsWith("KVM_") && name !== "KVM_RUN"),
);

/** Members that C has inside a union, or under another name. */
const cNames = {
  kvm_irqchip: { fields: { chip: "chip.dummy" } },
  kvm_irq_routing_entry: { fields: { u: "u.pad" } },
  kvm_nested_state: { fields: { hdr: "hdr.pad" } },
  kvm_vcpu_events: {
    fields: {
      exception_injected: "exception.injected",
      exception_nr: "exception.nr",
      exception_has_error_code: "exception.has_error_code",
      exception_pending: "exception.pending",
      exception_error_code: "exception.error_code",
      interrupt_injected: "interrupt.injected",
      interrupt_nr: "interrupt.nr",
      interrupt_soft: "interrupt.soft",
      interrupt_shadow: "interrupt.shadow",
      nmi_injected: "nmi.injected",
      nmi_pending: "nmi.pending",
      nmi_masked: "nmi.masked",
      nmi_pad: "nmi.pad",
      smi_smm: "smi.smm",
      smi_pending: "smi.pending",
      smi_smm_inside_nmi: "smi.smm_inside_nmi",
      smi_latched_init: "smi.latched_init",
      triple_fault_pending: "triple_fault.pending",
    },
  },
};

/** What headers before the kernel that brought it may lack. */
const newer = ["KVM_EXIT_MEMORY_FAULT"];

/** Where C has what `RUN` names. */
const RUN_MEMBERS: Record<keyof typeof uapi.RUN, string> = {
  IMMEDIATE_EXIT: "immediate_exit",
  EXIT_REASON: "exit_reason",
  IO_DIRECTION: "io.direction",
  IO_SIZE: "io.size",
  IO_PORT: "io.port",
  IO_COUNT: "io.count",
  IO_DATA_OFFSET: "io.data_offset",
  MMIO_ADDRESS: "mmio.phys_addr",
  MMIO_DATA: "mmio.data",
  MMIO_LENGTH: "mmio.len",
  MMIO_IS_WRITE: "mmio.is_write",
  FAIL_REASON: "fail_entry.hardware_entry_failure_reason",
  INTERNAL_SUBERROR: "internal.suberror",
  INTERNAL_NDATA: "internal.ndata",
  INTERNAL_DATA: "internal.data",
  SYSTEM_EVENT_TYPE: "system_event.type",
  MEMORY_FAULT_GPA: "memory_fault.gpa",
};

describe.skipIf(missing)("linux/kvm.h agrees (needs gcc and the header)", () => {
  const headers = ["linux/kvm.h"];

  test("on the layout of every structure", () => {
    expect(layouts.length).toBeGreaterThan(30);
    expect(probeLayouts(layouts, { headers, cNames })).toEqual([]);
  });

  test("on every request number", () => {
    expect(requests.length).toBeGreaterThan(50);
    expect(probeRequests(requests, headers)).toEqual([]);
  });

  test("on every constant", () => {
    expect(Object.keys(numbers).length).toBeGreaterThan(40);
    expect(probeConstants(numbers, { headers, newer })).toEqual([]);
  });

  test("on the places in struct kvm_run", () => {
    const expressions = Object.values(RUN_MEMBERS).map((member) => `offsetof(struct kvm_run, ${member})`);
    const theirs = evaluate(expressions, { headers });
    const differences = Object.entries(RUN_MEMBERS).filter(([name, member]) => {
      const offset = theirs.get(`offsetof(struct kvm_run, ${member})`);
      if (offset === undefined) return name !== "MEMORY_FAULT_GPA";
      return offset !== BigInt(uapi.RUN[name as keyof typeof uapi.RUN]);
    });
    expect(differences).toEqual([]);
  });

  test("that the extended state which KVM_GET_XSAVE gives has the size that its number says", () => {
    expect(evaluate(["sizeof(struct kvm_xsave)"], { headers })).toEqual(
      new Map([["sizeof(struct kvm_xsave)", 4096n]]),
    );
  });
});
