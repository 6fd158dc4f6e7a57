export * from "./json-parser.ts";
export * from "./json-stream.ts";
export * from "./json-writer.ts";
