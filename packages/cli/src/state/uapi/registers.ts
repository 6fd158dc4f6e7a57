/** Names of the bits of control registers (Intel SDM volume 3, section 2.5, and volume 1, section 3.4.3). */

/** Bit number to name. */
export type BitNames = Readonly<Record<number, string>>;

export const RFLAGS_BITS: BitNames = {
  0: "CF",
  2: "PF",
  4: "AF",
  6: "ZF",
  7: "SF",
  8: "TF",
  9: "IF",
  10: "DF",
  11: "OF",
  14: "NT",
  16: "RF",
  17: "VM",
  18: "AC",
  19: "VIF",
  20: "VIP",
  21: "ID",
};

export const CR0_BITS: BitNames = {
  0: "PE",
  1: "MP",
  2: "EM",
  3: "TS",
  4: "ET",
  5: "NE",
  16: "WP",
  18: "AM",
  29: "NW",
  30: "CD",
  31: "PG",
};

export const CR4_BITS: BitNames = {
  0: "VME",
  1: "PVI",
  2: "TSD",
  3: "DE",
  4: "PSE",
  5: "PAE",
  6: "MCE",
  7: "PGE",
  8: "PCE",
  9: "OSFXSR",
  10: "OSXMMEXCPT",
  11: "UMIP",
  12: "LA57",
  13: "VMXE",
  16: "FSGSBASE",
  17: "PCIDE",
  18: "OSXSAVE",
  20: "SMEP",
  21: "SMAP",
  22: "PKE",
  23: "CET",
};

export const EFER_BITS: BitNames = { 0: "SCE", 8: "LME", 10: "LMA", 11: "NXE", 12: "SVME", 15: "TCE" };

/** IA32_APIC_BASE. */
export const APIC_BASE_BITS: BitNames = { 8: "BSP", 10: "x2APIC", 11: "enabled" };

/** The names of the bits that are set, in order. */
export function bitNames(value: bigint, names: BitNames): string {
  return Object.entries(names)
    .filter(([bit]) => (value >> BigInt(bit)) & 1n)
    .map(([, name]) => name)
    .join(" ");
}
