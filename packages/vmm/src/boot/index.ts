export * from "./boot.ts";
export * from "./heartbeat/map.ts";
export { type HeartbeatPorts, loadHeartbeat } from "./heartbeat.ts";
export { checkKernelFiles, detect, loadKernel, readKernelFiles } from "./load-kernel.ts";
export type { BootRam } from "./placement.ts";
