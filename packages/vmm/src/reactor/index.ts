export * from "./acceptor.ts";
export * from "./reactor.ts";
export * from "./unix-listener.ts";
export * from "./watch.ts";
