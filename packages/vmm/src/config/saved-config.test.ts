import { describe, expect, test } from "bun:test";
import { pathsOf } from "./runtime-folder.ts";
import { configFromSaved } from "./saved-config.ts";
import { makeConfig, type VmOptions } from "./vm-options.ts";

const config = (options: VmOptions = {}) =>
  makeConfig({ guest: "heartbeat", ...options }, { name: "a", folder: "/run/vmm/a" });

/** As it comes out of a file. */
const saved = (of: object): unknown => JSON.parse(JSON.stringify({ format: 1, ...of }));

describe("the configuration in a saved VM", () => {
  const every: VmOptions[] = [
    {},
    { cpus: 4, accel: ["soft", "kvm"], auxRamShare: false },
    { memory: { size: 2 ** 26, backend: "file", path: "/var/ram", id: "main" } },
    { memory: { size: 2 ** 30, backend: "memfd", hugepages: "2M", prealloc: true, share: false } },
    { serial: { id: "serial0", backend: "null" } },
    { serial: { id: "serial0", backend: "pty" } },
    { serial: { id: "serial0", backend: "unix", path: "/run/with:colon" } },
    { devices: [{ driver: "ib700", id: "dog", seconds: 3, on: true }], plugins: ["/x/ib700.ts", "package"] },
  ];
  test.each(every)("is taken as it was written, in the folder that the VM has here: %j", (options) => {
    const written = config(options);
    expect(configFromSaved(saved(written))).toEqual({ ...written, folder: pathsOf("a").folder });
  });

  test("is taken where the kernel that was booted is there no more", () => {
    const boot = { kernel: "/no/such/kernel", initrd: "/no/initrd", cmdline: "quiet" };
    expect(configFromSaved(saved({ ...config(), boot })).boot).toEqual(boot);
  });

  const [good, memory] = [config(), config().memory];
  test.each([
    [{ ...good, format: 2 }, "has format 2"],
    [{}, "name: "],
    [{ ...good, name: "../../x" }, "cannot be a VM's name"],
    [{ ...good, memory: {}, more: 1 }, 'Unrecognized key: "more"'],
    [{ ...good, memory: null }, "memory: "],
    [{ ...good, memory: { ...memory, size: "abc" } }, '"abc" is not a size'],
    [{ ...good, memory: { ...memory, size: -4096 } }, "memory.size: "],
    [{ ...good, memory: { ...memory, size: 2 ** 52 } }, "larger than this host's RAM"],
    [{ ...good, memory: { ...memory, backend: "file" } }, "backend=file needs path"],
    [{ ...good, memory: { ...memory, backend: "file", path: "here" } }, "memory.path: "],
    [{ ...good, cpus: 0 }, "not a number of vCPUs from 1 to 64"],
    [{ ...good, cpus: 1.5 }, "cpus: "],
    [{ ...good, cpus: 1e9 }, "not a number of vCPUs"],
    [{ ...good, accel: 7 }, "accel: "],
    [{ ...good, accel: ["none"] }, 'unknown accelerator "none"'],
    [{ ...good, machine: null }, "machine: "],
    [{ ...good, boot: null }, "boot: is neither"],
    [{ ...good, boot: { guest: "other" } }, "boot: is neither"],
    [{ ...good, boot: { kernel: "bzImage", cmdline: "" } }, "boot.kernel: "],
    [{ ...good, chardevs: [] }, "chardevs: "],
    [{ ...good, chardevs: [null] }, "chardevs.0: "],
    [{ ...good, chardevs: [...good.chardevs, ...good.chardevs] }, "chardevs: "],
    [{ ...good, chardevs: [{ id: "serial0", backend: "sink" }] }, "is not one of console"],
    [{ ...good, chardevs: [{ id: "serial0", backend: "file" }] }, "file needs a path"],
    [{ ...good, chardevs: [{ id: "serial0", backend: "file", path: "log" }] }, "chardevs.0.path: "],
    [{ ...good, chardevs: [{ id: "serial0", backend: "file:log" }] }, "chardevs.0.backend: "],
    [{ ...good, devices: [null] }, "devices.0: "],
    [{ ...good, devices: [{ driver: "d", id: "ram0" }] }, 'the id "ram0" is given twice'],
    [{ ...good, plugins: [3] }, "plugins.0: "],
  ] as readonly (readonly [object, string])[])("is refused where it is %j", (value, reason) => {
    expect(() => configFromSaved(saved(value))).toThrow(reason);
  });

  test("is refused where it is none", () => {
    for (const value of [null, 7, "config", [], good])
      expect(() => configFromSaved(value)).toThrow("is not one");
  });
});
