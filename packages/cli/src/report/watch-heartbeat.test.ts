import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VmConfig } from "@vmm/vmm/config/vm-config.ts";
import { heartbeatRam } from "./watch-heartbeat.ts";

/** Has a file open, and opens and closes another all the time, with a lower number. */
const BUSY = `
  const { closeSync, openSync } = require("node:fs");
  const lower = openSync("/dev/null");
  openSync(process.argv[1], "w");
  process.stdout.write("ready");
  closeSync(lower);
  for (;;) closeSync(openSync("/dev/null"));
`;

const withRam = (path: string) =>
  ({ boot: { guest: "heartbeat" }, memory: { backend: "file", path } }) as unknown as VmConfig;

test("the RAM of a process is found whatever fds it closes meanwhile", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vmm-ram-"));
  const path = join(folder, "ram");
  const busy = Bun.spawn([process.execPath, "-e", BUSY, path], { stdout: "pipe", stderr: "inherit" });
  try {
    for await (const _ of busy.stdout) break;
    const found = Array.from({ length: 5000 }, () => heartbeatRam(withRam(path), busy.pid));
    expect(new Set(found).size).toBe(1);
    expect(found[0]).toStartWith(`/proc/${busy.pid}/fd/`);
  } finally {
    busy.kill("SIGKILL");
    await busy.exited;
    rmSync(folder, { recursive: true });
  }
});

test("there is none of a process that is gone, or of another guest", async () => {
  const gone = Bun.spawn(["true"]);
  await gone.exited;
  expect(heartbeatRam(withRam("/ram"), gone.pid)).toBeUndefined();
  expect(heartbeatRam(withRam("/ram"), process.pid)).toBeUndefined();
});
