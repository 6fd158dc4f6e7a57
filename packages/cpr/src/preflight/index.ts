export * from "./preflight-request.ts";
export * from "./report.ts";
export * from "./run-preflight.ts";
