import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { optionsFromJson, readOptionsFile } from "./options-file.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-options-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a file says the same as the command line would", () => {
  expect(
    optionsFromJson({
      name: "web",
      memory: { size: "2G", share: true },
      cpus: 2,
      accel: ["kvm", "soft"],
      kernel: "vmlinux",
      cmdline: "console=ttyS0",
      serial: "pty",
      machine: { "aux-ram-share": false },
      devices: [{ driver: "disk", size: 4 }],
    }),
  ).toEqual({
    name: "web",
    memory: { size: 2 * 2 ** 30, share: true },
    cpus: 2,
    accel: ["kvm", "soft"],
    kernel: "vmlinux",
    cmdline: "console=ttyS0",
    serial: { id: "serial0", backend: "pty" },
    auxRamShare: false,
    devices: [{ driver: "disk", size: 4, id: "disk-0" }],
  });
  expect(optionsFromJson({ memory: "64M,backend=ram" })).toEqual({
    memory: { size: 64 * 2 ** 20, backend: "ram" },
  });
});

test.each([
  [{ colour: "red" }, "colour"],
  [{ cpus: "two" }, "cpus"],
  [{ memory: { size: "512Q" } }, '"512Q" is not a size'],
  [{ memory: { size: -1 } }, "memory"],
  [{ memory: { sise: "1G" } }, "memory"],
  [{ devices: [{ id: "x" }] }, "devices.0.driver"],
  [{ guest: "windows" }, "guest"],
  [[], "object"],
  [null, "object"],
])("%j is refused with one line that names the place", (json, place) => {
  expect(() => optionsFromJson(json)).toThrow(place);
  try {
    optionsFromJson(json);
  } catch (error) {
    expect((error as { code?: string }).code).toBe("config");
    expect((error as Error).message).not.toContain("\n");
  }
});

test("paths in a file are relative to its folder", () => {
  const path = join(folder, "vm.json");
  writeFileSync(path, JSON.stringify({ kernel: "boot/vmlinux", plugins: ["./p.ts"] }));
  expect(readOptionsFile(path)).toEqual({
    kernel: join(folder, "boot/vmlinux"),
    plugins: [join(folder, "p.ts")],
  });
});

test("a file that is missing, not JSON or not a configuration is named with what is wrong", () => {
  expect(() => readOptionsFile("/no/such.json")).toThrow("--config /no/such.json: there is no such file");
  const path = join(folder, "vm.json");
  writeFileSync(path, "{");
  expect(() => readOptionsFile(path)).toThrow(`--config ${path}: not JSON`);
  writeFileSync(path, '{"cpus": 0}');
  expect(() => readOptionsFile(path)).toThrow(`--config ${path}: --cpus`);
});
