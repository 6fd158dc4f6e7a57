export * from "./cpr-transfer.ts";
export * from "./listen.ts";
export * from "./successor-link.ts";
export * from "./transfer-incoming.ts";
