import { describe, expect, test } from "bun:test";
import { AGENT_RECORD } from "./agent/agent-info.ts";
import { requireHandedOver, requireKnown, requireVcpus } from "./known-records.ts";
import { opaqueRecord } from "./state-record.ts";

const recordsOf = (...names: string[]) =>
  new Map(
    names.map((name) => {
      const [owner = "", kind = ""] = name.split("/");
      return [name, opaqueRecord(owner, kind, new Uint8Array(1))];
    }),
  );

describe("a state of another VM", () => {
  test("is refused where it has a record that nobody would load", () => {
    const known = new Set(["cpu0/kvm-regs", "vm/kvm-pit2"]);
    expect(() => requireKnown(recordsOf("cpu0/kvm-regs"), known)).not.toThrow();
    expect(() => requireKnown(recordsOf("cpu0/kvm-regs", "cpu0/kvm-new"), known)).toThrow(
      'saved record "cpu0/kvm-new" is not part of a VM of this shape',
    );
  });

  test("is refused where it has more or fewer vCPUs", () => {
    const two = recordsOf("cpu0/kvm-cpuid", "cpu0/kvm-regs", "cpu1/kvm-cpuid");
    expect(() => requireVcpus(two, 2)).not.toThrow();
    expect(() => requireVcpus(two, 1)).toThrow("the state is of a VM with 2 vCPUs, and this one has 1");
    expect(() => requireVcpus(two, 3)).toThrow("the state is of a VM with 2 vCPUs, and this one has 3");
  });

  test("whose vCPUs run on is refused where they are others than here, or more is said of them", () => {
    const two = ["cpu0/kvm-cpuid", "cpu1/kvm-cpuid", AGENT_RECORD];
    expect(() => requireHandedOver(recordsOf(...two), 2, ["cpu0", "cpu1"])).not.toThrow();
    expect(() => requireHandedOver(recordsOf(...two), 2, ["cpu0"])).toThrow(
      "with 2 vCPUs, and this one has 1",
    );
    expect(() => requireHandedOver(recordsOf(...two), 1, ["cpu0", "cpu1"])).toThrow("with 1 vCPU, ");
    expect(() => requireHandedOver(recordsOf(...two, "vm/kvm-new"), 2, ["cpu0", "cpu1"])).toThrow(
      'saved record "vm/kvm-new" is not part',
    );
  });
});
