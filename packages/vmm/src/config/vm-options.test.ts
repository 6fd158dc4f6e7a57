import { expect, test } from "bun:test";
import { MAX_SOCKET_PATH } from "@vmm/libc";
import { checkSocketPath, parseChardevOption } from "./chardev-option.ts";
import { parseDeviceOption } from "./device-option.ts";
import { parseMachineOption } from "./machine-option.ts";
import { checkVmName } from "./vm-name.ts";
import { checkCpus, makeConfig, mergeOptions, parseAccel, resolvePaths } from "./vm-options.ts";

const place = { name: "a", folder: "/run/vmm/a" };

test("the heartbeat guest alone makes a whole configuration", () => {
  expect(makeConfig({ guest: "heartbeat" }, place)).toEqual({
    name: "a",
    folder: "/run/vmm/a",
    memory: { id: "ram0", backend: "memfd", size: 512 * 2 ** 20, share: true, prealloc: false },
    cpus: 1,
    accel: ["kvm"],
    machine: { auxRamShare: true },
    boot: { guest: "heartbeat" },
    chardevs: [{ id: "serial0", backend: "console" }],
    devices: [],
    plugins: [],
  });
});

test("a configuration survives JSON, which carries it to the VM process", () => {
  const config = makeConfig({ kernel: import.meta.path, cmdline: 'a="b c"', cpus: 4 }, place);
  expect(JSON.parse(JSON.stringify(config))).toEqual(config);
});

test.each([
  [{}, "nothing to boot"],
  [{ guest: "heartbeat", kernel: "/k" }, "exclude each other"],
  [{ guest: "heartbeat", cmdline: "quiet" }, "go with --kernel"],
  [{ kernel: "/no/such/kernel" }, "--kernel: there is no kernel at /no/such/kernel"],
  [{ kernel: import.meta.path, initrd: "/no/initrd" }, "--initrd: there is no initrd at /no/initrd"],
  [{ guest: "heartbeat", cpus: 65 }, '--cpus: "65" is not a number of vCPUs from 1 to 64'],
  [{ guest: "heartbeat", devices: [{ driver: "d", id: "ram0" }] }, 'the id "ram0" is given twice'],
  [
    { guest: "heartbeat", serial: { id: "serial0", backend: "unix", path: `/${"x".repeat(200)}` } },
    "too long: 201 bytes",
  ],
] as const)("%j is refused: %s", (options, reason) => {
  expect(() => makeConfig(options as never, place)).toThrow(reason);
});

test("what the command line boots replaces all that the file boots", () => {
  const file = { kernel: "/k", initrd: "/i", cmdline: "c", cpus: 2 };
  expect(mergeOptions(file, { guest: "heartbeat" })).toEqual({ guest: "heartbeat", cpus: 2 });
  expect(mergeOptions({ guest: "heartbeat" }, { kernel: "/k" })).toEqual({ kernel: "/k" });
  expect(mergeOptions(file, { cmdline: "d" })).toEqual({ ...file, cmdline: "d" });
});

test("relative paths are made absolute, names of packages are not", () => {
  const options = resolvePaths(
    {
      kernel: "./vmlinux",
      initrd: "/abs",
      memory: { path: "ram" },
      serial: { id: "serial0", backend: "file", path: "log" },
      plugins: ["./mine.ts", "@me/device", "/p.ts"],
    },
    "/here",
  );
  expect(options).toEqual({
    kernel: "/here/vmlinux",
    initrd: "/abs",
    memory: { path: "/here/ram" },
    serial: { id: "serial0", backend: "file", path: "/here/log" },
    plugins: ["/here/mine.ts", "@me/device", "/p.ts"],
  });
});

test("serial ports go where they are told", () => {
  expect(parseChardevOption("file:/a:b", "s")).toEqual({ id: "s", backend: "file", path: "/a:b" });
  expect(parseChardevOption("none", "s")).toEqual({ id: "s", backend: "null" });
  for (const kind of ["console", "stdio", "pty"]) {
    expect(parseChardevOption(kind, "s")).toEqual({ id: "s", backend: kind } as never);
  }
  expect(() => parseChardevOption("file:", "s")).toThrow("file needs a path");
  expect(() => parseChardevOption("pty:/x", "s")).toThrow("pty takes no path");
  expect(() => parseChardevOption("tcp:1", "s")).toThrow('"tcp:1" is not one of console, stdio,');
});

test("a socket's path may have 107 bytes and not one more", () => {
  expect(checkSocketPath("x".repeat(MAX_SOCKET_PATH))).toHaveLength(107);
  expect(() => checkSocketPath("x".repeat(MAX_SOCKET_PATH + 1))).toThrow("too long: 108 bytes");
  expect(() => checkSocketPath("ü".repeat(54))).toThrow("too long: 108 bytes");
});

test("names of VMs are names of folders too", () => {
  for (const name of ["a", "web-1", "0", "a.b_c"]) expect(checkVmName(name)).toBe(name);
  for (const name of ["", ".", "..", "-a", "a/b", "a b", "a\n", "x".repeat(65), "é"]) {
    expect(() => checkVmName(name)).toThrow("cannot be a VM's name");
  }
});

test("devices have typed properties and an id", () => {
  expect(parseDeviceOption("disk,id=d0,size=4096,readonly=on,path=/x,serial=007", 0)).toEqual({
    driver: "disk",
    id: "d0",
    size: 4096,
    readonly: true,
    path: "/x",
    serial: "007",
  });
  expect(parseDeviceOption("driver=disk", 3)).toEqual({ driver: "disk", id: "disk-3" });
  expect(() => parseDeviceOption("id=d0", 0)).toThrow("names no driver");
});

test("accelerators, machine properties and vCPUs are checked", () => {
  expect(parseAccel("kvm:soft")).toEqual(["kvm", "soft"]);
  expect(() => parseAccel("hvf")).toThrow('unknown accelerator "hvf"; known are: kvm, soft');
  expect(parseMachineOption("aux-ram-share=off")).toEqual({ auxRamShare: false });
  expect(() => parseMachineOption("q35")).toThrow("--machine");
  for (const bad of [0, -1, 1.5, Number.NaN, 65]) expect(() => checkCpus(bad)).toThrow("--cpus");
});
