export * from "./capabilities.ts";
export * from "./channels.ts";
export * from "./parameters.ts";
export * from "./status.ts";
