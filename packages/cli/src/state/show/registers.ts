/** A vCPU's registers as a dump, in the manner of QEMU's `info registers`. */
import type { DescribedField, StateValue } from "@vmm/cpr/describe";
import {
  APIC_BASE_BITS,
  type BitNames,
  bitNames,
  CR0_BITS,
  CR4_BITS,
  EFER_BITS,
  RFLAGS_BITS,
} from "../uapi/registers.ts";
import { INDENT } from "./layout.ts";

type Values = ReadonlyMap<string, StateValue>;

const valuesOf = (fields: readonly DescribedField[]): Values =>
  new Map(fields.map(({ name, value }) => [name, value]));

function integerIn(values: Values, name: string): bigint {
  const value = values.get(name);
  return value?.type === "integer" ? BigInt.asUintN(64, value.value) : 0n;
}

const hex = (value: bigint, digits: number) => value.toString(16).padStart(digits, "0");

const word = (values: Values, name: string) => `${name.padEnd(3)} ${hex(integerIn(values, name), 16)}`;

function withBits(values: Values, name: string, names: BitNames): string {
  const value = integerIn(values, name);
  return `${INDENT}${name.padEnd(9)} ${hex(value, 16)}  ${bitNames(value, names)}`.trimEnd();
}

const GENERAL = [
  ["rax", "rbx", "rcx"],
  ["rdx", "rsi", "rdi"],
  ["rbp", "rsp", "r8"],
  ["r9", "r10", "r11"],
  ["r12", "r13", "r14"],
  ["r15", "rip"],
];

/** The fields of a `kvm_regs`. */
export function generalRegisters(fields: readonly DescribedField[]): string[] {
  const values = valuesOf(fields);
  const rows = GENERAL.map((names) => INDENT + names.map((name) => word(values, name)).join("  "));
  return [...rows, withBits(values, "rflags", RFLAGS_BITS)];
}

function segmentLine(name: string, value: StateValue | undefined): string {
  const s = valuesOf(value?.type === "struct" ? value.fields : []);
  const mode = integerIn(s, "l") ? "64-bit" : integerIn(s, "db") ? "32-bit" : "16-bit";
  const parts = [
    hex(integerIn(s, "selector"), 4),
    `base ${hex(integerIn(s, "base"), 16)}`,
    `limit ${hex(integerIn(s, "limit"), 8)}`,
    `type ${hex(integerIn(s, "type"), 1)}`,
    `dpl ${integerIn(s, "dpl")}`,
    integerIn(s, "unusable") ? "unusable" : integerIn(s, "present") ? mode : "not present",
  ];
  return `${INDENT}${name.padEnd(4)} ${parts.join("  ")}`;
}

function tableLine(name: string, value: StateValue | undefined): string {
  const t = valuesOf(value?.type === "struct" ? value.fields : []);
  return `${INDENT}${name.padEnd(10)} base ${hex(integerIn(t, "base"), 16)}  limit ${hex(integerIn(t, "limit"), 4)}`;
}

const SEGMENTS = ["cs", "ss", "ds", "es", "fs", "gs", "tr", "ldt"];

/** The fields of a `kvm_sregs2`. */
export function systemRegisters(fields: readonly DescribedField[]): string[] {
  const values = valuesOf(fields);
  const pdptrs = values.get("pdptrs");
  const pointers = pdptrs?.type === "list" ? pdptrs.items : [];
  return [
    ...SEGMENTS.map((name) => segmentLine(name, values.get(name))),
    ...["gdt", "idt"].map((name) => tableLine(name, values.get(name))),
    withBits(values, "cr0", CR0_BITS),
    withBits(values, "cr2", {}),
    withBits(values, "cr3", {}),
    withBits(values, "cr4", CR4_BITS),
    withBits(values, "cr8", {}),
    withBits(values, "efer", EFER_BITS),
    withBits(values, "apic_base", APIC_BASE_BITS),
    withBits(values, "flags", { 0: "PDPTRs valid" }),
    ...pointers.map((value, i) => withBits(new Map([[`pdptr${i}`, value]]), `pdptr${i}`, {})),
  ];
}
