export * from "./acpi-pm.ts";
export * from "./chipset.ts";
export * from "./cmos-rtc.ts";
export * from "./debug-exit.ts";
export * from "./i8042.ts";
export * from "./port92.ts";
export * from "./reset-control.ts";
export * from "./uart-16550.ts";
