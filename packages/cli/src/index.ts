export { runCli } from "./cli.ts";
export { EXIT } from "./exit-code.ts";
