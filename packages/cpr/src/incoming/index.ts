/**
 * All that a new VMM process needs between its start and the guest's next instruction, and nothing else: import this
 * face (`@vmm/cpr/incoming`) where start-up time counts.
 */
export * from "../cpr-error.ts";
export * from "../fault.ts";
export * from "../fd-table.ts";
export * from "../id-table.ts";
export * from "../preflight/preflight-request.ts";
export * from "../ram/file-time.ts";
export * from "../state/clocks.ts";
export * from "../state/codec.ts";
export * from "../state/match.ts";
export * from "./incoming.ts";
export * from "./incoming-guest.ts";
