export * from "./attempt.ts";
export * from "./capabilities.ts";
export * from "./channels.ts";
export * from "./info.ts";
export * from "./migration.ts";
export * from "./parameters.ts";
export * from "./status.ts";
export * from "./take-in.ts";
