export * from "./keeper.ts";
export * from "./keeper-link.ts";
export * from "./protocol.ts";
