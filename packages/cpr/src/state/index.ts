export * from "./clocks.ts";
export * from "./codec.ts";
export * from "./envelope.ts";
export * from "./header.ts";
export * from "./match.ts";
export * from "./record.ts";
export * from "./schema.ts";
