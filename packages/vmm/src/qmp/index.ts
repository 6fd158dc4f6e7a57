export * from "./named-fds.ts";
export * from "./qmp-error.ts";
export * from "./qmp-host.ts";
export * from "./qmp-server.ts";
