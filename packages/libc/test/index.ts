/** What the tests of other packages use: `@vmm/libc/testing`. */
export * from "./c-probe.ts";
export * from "./new-fds.ts";
