export * from "./data.ts";
export * from "./host-facts.ts";
export * from "./soak-report.ts";
export * from "./update-report.ts";
export * from "./write-report.ts";
