export * from "./file-time.ts";
export * from "./placement.ts";
export * from "./read-ram.ts";
export * from "./samples.ts";
export * from "./write-ram.ts";
