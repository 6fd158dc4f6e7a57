/** A vCPU's registers as text, in the shape of QEMU's `info registers`. */
import { ioctl, type Struct } from "@vmm/libc";
import { KVM_GET_REGS, KVM_GET_SREGS2, KvmRegs, type KvmSegment, KvmSregs2 } from "./uapi/kvm.ts";

const hex = (value: number | bigint, digits: number): string => value.toString(16).padStart(digits, "0");

type Segment = typeof KvmSegment extends { at(...args: never[]): infer S } ? S : Struct<never>;

function segmentLine(name: string, s: Segment): string {
  return `${name.toUpperCase().padEnd(3)}=${hex(s.selector, 4)} ${hex(s.base, 16)} ${hex(s.limit, 8)} type=${hex(s.type, 1)} dpl=${s.dpl} ${s.l ? "code64" : s.db ? "32-bit" : "16-bit"}`;
}

/** Reads the registers of a paused vCPU. */
export function describeRegisters(fd: number): string {
  const regs = KvmRegs.alloc();
  const sregs = KvmSregs2.alloc();
  ioctl(fd, KVM_GET_REGS, regs);
  ioctl(fd, KVM_GET_SREGS2, sregs);
  const general = [
    ["RAX", "RBX", "RCX", "RDX"],
    ["RSI", "RDI", "RBP", "RSP"],
    ["R8", "R9", "R10", "R11"],
    ["R12", "R13", "R14", "R15"],
  ].map((row) =>
    row.map((name) => `${name.padEnd(3)}=${hex(regs[name.toLowerCase() as "rax"], 16)}`).join(" "),
  );
  const segments = (["es", "cs", "ss", "ds", "fs", "gs", "ldt", "tr"] as const).map((name) =>
    segmentLine(name, sregs[name]),
  );
  return [
    ...general,
    `RIP=${hex(regs.rip, 16)} RFL=${hex(regs.rflags, 8)}`,
    ...segments,
    `GDT=${hex(sregs.gdt.base, 16)} ${hex(sregs.gdt.limit, 8)}`,
    `IDT=${hex(sregs.idt.base, 16)} ${hex(sregs.idt.limit, 8)}`,
    `CR0=${hex(sregs.cr0, 8)} CR2=${hex(sregs.cr2, 16)} CR3=${hex(sregs.cr3, 16)} CR4=${hex(sregs.cr4, 8)}`,
    `EFER=${hex(sregs.efer, 16)} APIC_BASE=${hex(sregs.apic_base, 16)}`,
  ].join("\n");
}
