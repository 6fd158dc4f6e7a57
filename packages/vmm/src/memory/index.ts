export * from "./create-backend.ts";
export * from "./guest-memory.ts";
export { checkBrought } from "./map-backend.ts";
export * from "./memory-backend.ts";
