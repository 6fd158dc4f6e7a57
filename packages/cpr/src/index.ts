export * from "./blockers.ts";
export * from "./cpr-error.ts";
export * from "./fd-identity.ts";
export * from "./fd-table.ts";
export * from "./modes.ts";
export * from "./notifiers.ts";
export * from "./state/index.ts";
export * from "./undo-log.ts";
