export * from "./aml.ts";
export * from "./build-tables.ts";
export type { SerialPort } from "./dsdt.ts";
export { IOAPIC_ADDRESS, LAPIC_ADDRESS } from "./madt.ts";
export * from "./resource.ts";
export { acpiTable } from "./table.ts";
