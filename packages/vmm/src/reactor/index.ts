export * from "./reactor.ts";
export * from "./watch.ts";
