export * from "./file-incoming.ts";
export * from "./file-migration.ts";
export * from "./saved-file.ts";
