export * from "./create-backend.ts";
export * from "./guest-memory.ts";
export * from "./memory-backend.ts";
