export * from "./cpr-exec.ts";
export * from "./exec-target.ts";
export * from "./old-command.ts";
export * from "./stdio.ts";
export * from "./surroundings.ts";
export * from "./teardown-helper.ts";
