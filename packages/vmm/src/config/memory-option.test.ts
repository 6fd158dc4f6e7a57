import { expect, test } from "bun:test";
import { hostMemory } from "./host-memory.ts";
import { memoryBackendConfig, parseMemoryOption } from "./memory-option.ts";

const configOf = (text: string) => memoryBackendConfig(parseMemoryOption(text));

test("a bare size is short for a shared memfd", () => {
  expect(configOf("512M")).toEqual({
    id: "ram0",
    backend: "memfd",
    size: 512 * 2 ** 20,
    share: true,
    prealloc: false,
  });
});

test("every key is heard", () => {
  expect(configOf("size=64M,backend=memfd,share=off,hugepages=2M,prealloc=on,id=main")).toEqual({
    id: "main",
    backend: "memfd",
    size: 64 * 2 ** 20,
    share: false,
    hugepages: "2M",
    prealloc: true,
  });
  expect(configOf("64M,backend=file,path=/var/ram").path).toBe("/var/ram");
});

test("ram is private unless it is asked to be shared, the others the reverse", () => {
  expect(configOf("64M,backend=ram").share).toBe(false);
  expect(configOf("64M,backend=ram,share=on").share).toBe(true);
  expect(configOf("64M,backend=file,path=/x").share).toBe(true);
});

test.each([
  ["0", "the size cannot be 0"],
  ["-5", "a size cannot be negative, as -5 is"],
  ["512Q", '"512Q" is not a size'],
  ["lots", '"lots" is not a size'],
  ["512", "512 is too small, the least is 2M; did you mean 512M?"],
  ["2097153", "not a multiple of the page size, 4K"],
  ["3M,hugepages=2M", "not a multiple of the page size, 2M"],
  ["64M,hugepages=4M", 'hugepages is 2M or 1G, not "4M"'],
  ["64M,share=yes", 'share is on or off, not "yes"'],
  ["64M,colour=red", 'unknown key "colour"'],
  ["64M,backend=tape", 'unknown backend "tape"; known are: memfd, file, ram'],
  ["64M,backend=epc", "SGX enclave pages"],
  ["64M,backend=file", "backend=file needs path=FILE"],
  ["64M,path=/x", "path is for backend=file, not for backend=memfd"],
  ["64M,backend=file,path=/x,hugepages=2M", "hugepages is for backend=memfd"],
  ["64M,id=9", '"9" cannot be an id'],
])("%p is refused: %s", (text, reason) => {
  expect(() => configOf(text)).toThrow(`--memory: `);
  expect(() => configOf(text)).toThrow(reason);
});

test("more RAM than the host has is refused", () => {
  const total = hostMemory()?.total as number;
  expect(total).toBeGreaterThan(0);
  expect(() => configOf(`${Math.ceil(total / 2 ** 30) + 1}G`)).toThrow("is larger than this host's RAM");
});
