import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodeState } from "@vmm/cpr";
import { describeRecord } from "@vmm/cpr/describe";
import { Bench, HAS_KVM, until } from "./cli-harness.ts";

const PACKAGES = join(import.meta.dir, "../../packages");

interface Version {
  readonly version: number;
  readonly compat: number;
  /** Fields beside `origin`, with the version in which they came. */
  readonly more?: Readonly<Record<string, number>>;
}

/** A device whose state says which version of it was there when the guest was powered on. */
function plugin({ version, compat, more = {} }: Version): string {
  const fields = ["origin", ...Object.keys(more)].map((name) => `${name}: u32`).join(", ");
  return `
    import { struct, u32 } from ${JSON.stringify(join(PACKAGES, "libc/src/index.ts"))};
    import { registerDriver } from ${JSON.stringify(join(PACKAGES, "vmm/src/index.ts"))};
    const layout = struct("marker", { ${fields} });
    const schema = { kind: "marker", version: ${version}, compat: ${compat}, layout, since: ${JSON.stringify(more)} };
    registerDriver({
      name: "marker",
      create(context, { id }) {
        const state = context.arena.record(id, schema);
        return {
          id,
          reset() {
            for (const { name } of layout.fields) state[name] = ${version};
          },
        };
      },
    });
  `;
}

describe.skipIf(!HAS_KVM)("a device of another version in the new command (needs /dev/kvm)", () => {
  let bench: Bench;
  let module = "";
  beforeEach(() => {
    bench = new Bench();
    module = join(bench.runtime, "marker.ts");
  });
  afterEach(() => bench.close());

  const install = (version: Version) => writeFileSync(module, plugin(version));
  const start = () => bench.start("a", "--plugin", module, "--device", "marker,id=marker0");

  /** The device's state as an update writes it, and what the guest printed up to then. */
  async function savedMarker() {
    const path = join(bench.runtime, "a.state");
    await bench.vmm("qmp", "a", "migrate-set-parameters", "mode=cpr-exec");
    await bench.vmm("qmp", "a", "migrate", `uri=file:${path}`);
    await until("the end of the update", async () => {
      const { stdout } = await bench.vmm("qmp", "a", "query-migrate");
      return stdout.includes('"completed"');
    });
    const record = decodeState(readFileSync(path)).records.find(({ name }) => name === "marker0");
    if (!record) throw new Error("the state has no record of the device");
    const { version, fields } = describeRecord(record);
    const values = fields.map(({ name, value }) => [
      name,
      value.type === "integer" ? Number(value.value) : value,
    ]);
    return { version, ...Object.fromEntries(values) };
  }

  test("that is too old is found by the preflight, with the rule, and the guest runs on", async () => {
    install({ version: 3, compat: 2 });
    const { pid } = await start();
    install({ version: 1, compat: 1 });
    const reason =
      'saved record "marker0" (marker version 3): this version knows 1 and version 2 is the oldest';
    const asked = await bench.vmm("migrate", "--preflight-only", "a", "--json");
    expect(asked.exitCode).toBe(1);
    expect(JSON.parse(asked.stdout)).toMatchObject({
      ok: false,
      blocks: [{ what: "marker0", reason: expect.stringContaining(reason) }],
    });
    const refused = await bench.vmm("migrate", "--cpr-exec", "a");
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(reason) });
    expect(await bench.json("status", "a")).toMatchObject({ pid, status: "running" });
  });

  test("that is too old is found by the load where nobody asked before, and the guest runs on", async () => {
    install({ version: 3, compat: 2 });
    const { pid, folder } = await start();
    const old = { config: join(bench.runtime, "old.json"), module: join(bench.runtime, "old.ts") };
    writeFileSync(old.module, plugin({ version: 1, compat: 1 }));
    const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
    writeFileSync(old.config, JSON.stringify({ ...config, plugins: [old.module] }));
    const command = [process.execPath, join(PACKAGES, "vmm/src/main.ts"), "--config", old.config];
    const failed = await bench.vmm("migrate", "--cpr-exec", "--no-preflight", "a", "--", ...command);
    const reason = 'saved record "marker0" (marker version 3): this version knows 1';
    expect(failed).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(reason) });
    expect(await bench.json("status", "a")).toMatchObject({ pid, status: "running" });
  });

  test("that is older, but not too old, loads what it knows", async () => {
    install({ version: 3, compat: 2, more: { speed: 3 } });
    await start();
    install({ version: 2, compat: 2 });
    expect(await bench.json("migrate", "--cpr-exec", "a")).toMatchObject({ status: "completed" });
    expect(await savedMarker()).toEqual({ version: 2, origin: 3 });
  });

  test("that is newer loads what was saved, and resets what it has beside that", async () => {
    install({ version: 1, compat: 1 });
    await start();
    install({ version: 2, compat: 1, more: { speed: 2 } });
    expect(await bench.json("migrate", "--cpr-exec", "a")).toMatchObject({ status: "completed" });
    expect(await savedMarker()).toEqual({ version: 2, origin: 1, speed: 2 });
  });
});
