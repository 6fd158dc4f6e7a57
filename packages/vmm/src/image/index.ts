export * from "./resolve-image.ts";
