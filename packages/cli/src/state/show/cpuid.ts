/** What a vCPU's CPUID instruction says, leaf by leaf. */
import type { DescribedField } from "@vmm/cpr/describe";
import { INDENT } from "./layout.ts";

const REGISTERS = ["eax", "ebx", "ecx", "edx"];
const COLUMN = 18;

function register({ value }: DescribedField, name: string): bigint {
  const fields = value.type === "struct" ? value.fields : [];
  const found = fields.find((field) => field.name === name)?.value;
  return found?.type === "integer" ? found.value : 0n;
}

const isEmpty = (field: DescribedField) => REGISTERS.every((name) => register(field, name) === 0n);

/** @param full Show the leaves that say nothing, too. */
export function cpuidLines(fields: readonly DescribedField[], full: boolean): string[] {
  const shown = full ? fields : fields.filter((field) => !isEmpty(field));
  const row = (name: string, words: readonly string[]) => INDENT + name.padEnd(COLUMN) + words.join("  ");
  const lines = shown.map((field) => {
    const words = REGISTERS.map((name) => register(field, name).toString(16).padStart(8, "0"));
    return row(field.name.replace("leaf_", ""), words);
  });
  const left = fields.length - shown.length;
  const heads = REGISTERS.map((name) => name.padEnd(8));
  return [row("leaf", heads).trimEnd(), ...lines, ...(left > 0 ? [`${INDENT}and ${left} leaves of 0`] : [])];
}
