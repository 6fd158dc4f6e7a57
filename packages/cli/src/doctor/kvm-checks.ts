/** KVM: whether it opens, what it can do, and what it virtualizes with. */
import { close } from "@vmm/libc";
import { openKvm } from "@vmm/vmm/accel/kvm/index.ts";
import { reasonOf } from "../cli-error.ts";
import type { Check } from "./check.ts";
import { namesIn, readText } from "./host-files.ts";

export function kvmChecks(): Check[] {
  const opened = openedKvm();
  return opened.state === "ok" ? [opened, virtualization(), nested()] : [opened];
}

function openedKvm(): Check {
  try {
    const kvm = openKvm();
    close(kvm.fd);
    return { name: "KVM", state: "ok", detail: `opens, API 12, up to ${kvm.maxVcpus} vCPUs`, required: true };
  } catch (error) {
    const [detail, help] = reasonOf(error).split(/; (.*)/s);
    const check = { name: "KVM", state: "missing", detail: detail as string, required: true } as const;
    return help ? { ...check, help } : check;
  }
}

function cpuFlags(): readonly string[] {
  return (
    /^flags\s*:(.*)$/m
      .exec(readText("/proc/cpuinfo") ?? "")?.[1]
      ?.trim()
      .split(/\s+/) ?? []
  );
}

/** The modules that serve KVM beside its core: kvm_intel, kvm_amd, or one that needs no hardware for it. */
function kvmModules(): string[] {
  return namesIn("/sys/module").filter((name) => name.startsWith("kvm_"));
}

function virtualization(): Check {
  const flags = cpuFlags();
  const hardware = flags.includes("vmx") ? "VT-x (vmx)" : flags.includes("svm") ? "AMD-V (svm)" : undefined;
  const inside = flags.includes("hypervisor") ? ", itself in a VM" : "";
  if (hardware) return { name: "virtualization", state: "ok", detail: `${hardware}${inside}` };
  const by = kvmModules().join(", ") || "this kernel's KVM";
  return {
    name: "virtualization",
    state: "warn",
    detail: `no vmx or svm in /proc/cpuinfo${inside}: ${by} works without the hardware's help`,
    help: "guests in 64-bit mode may not run, or slowly: enable virtualization in the firmware or in the outer VM",
  };
}

function nested(): Check {
  const values = ["kvm_intel", "kvm_amd"].map((module) =>
    readText(`/sys/module/${module}/parameters/nested`),
  );
  const value = values.find((text) => text !== undefined);
  if (value === "Y" || value === "1") {
    return { name: "nested VMs", state: "ok", detail: "guests can run VMs themselves" };
  }
  return {
    name: "nested VMs",
    state: "warn",
    detail: "guests cannot run VMs themselves",
    help: "only if you want that: modprobe kvm_intel (or kvm_amd) with nested=1",
  };
}
