export * from "./decode-value.ts";
export * from "./describe-record.ts";
export * from "./diff-records.ts";
export * from "./value.ts";
export * from "./walk-ram.ts";
