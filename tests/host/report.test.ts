import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Bench, HAS_KVM } from "./cli-harness.ts";

/** The page's words as a reader sees them. */
const wordsOf = (page: string) =>
  page
    .replace(/<style>.*?<\/style>/s, "")
    .replace(/<[^>]+>/g, " ")
    .replace(/&#39;/g, "'")
    .replace(/[\s\u00a0]+/g, " ");

describe.skipIf(!HAS_KVM)("vmm migrate --report (needs /dev/kvm)", () => {
  let bench: Bench;
  let path = "";
  beforeEach(() => {
    bench = new Bench();
    path = join(bench.runtime, "update.html");
  });
  afterEach(() => bench.close());

  test("writes a page with the phases, the pids, and what was seen of the guest from outside", async () => {
    const { pid } = await bench.start("a");
    const report = await bench.json("migrate", "--cpr-exec", "a", "--report", path);
    const words = wordsOf(readFileSync(path, "utf8"));
    expect(words).toContain("Live update of a The VMM was replaced under the running guest.");
    expect(words).toContain(`${pid} pid, before and after`);
    report.phases.forEach(({ name }: { name: string }, i: number) => {
      expect(words).toContain(`${i + 1} ${name} `);
    });
    const [, looks = ""] = /by ([\d,]+) looks at its RAM/.exec(words) ?? [];
    expect(Number(looks.replaceAll(",", ""))).toBeGreaterThan(10);
    expect(words).toMatch(/Statuses .*completed at /);
    // nothing half-written is left beside it
    expect(readdirSync(bench.runtime).filter((name) => name.includes("update.html"))).toEqual([
      "update.html",
    ]);
  });

  test("tells of an update that failed, and the command fails all the same", async () => {
    await bench.start("a");
    const gone = ["--", "/bin/sh", "-c", "exit 7"];
    const { exitCode } = await bench.vmm("migrate", "--no-preflight", "a", "--report", path, ...gone);
    expect(exitCode).toBe(1);
    const words = wordsOf(readFileSync(path, "utf8"));
    expect(words).toContain("The update failed: ");
    expect(words).toContain("The guest runs on.");
    expect(await bench.json("status", "a")).toMatchObject({ status: "running" });
  });

  test("refuses a place where no page can be, before anything happens to the guest", async () => {
    await bench.start("a");
    const nowhere = join(bench.runtime, "no/such/folder.html");
    const refused = await bench.vmm("migrate", "a", "--report", nowhere);
    expect(refused).toMatchObject({ exitCode: 2, stdout: "" });
    expect(refused.stderr).toBe(
      `vmm: --report ${nowhere}: its folder does not exist, or cannot be written to\n`,
    );
    const unnamed = await bench.vmm("migrate", "a", "--report", "");
    expect(unnamed).toMatchObject({ exitCode: 2, stderr: "vmm: --report needs the name of a file\n" });
    const both = await bench.vmm("migrate", "a", "--preflight-only", "--report", path);
    expect(both).toMatchObject({ exitCode: 2 });
    expect(existsSync(path)).toBe(false);
    expect((await bench.vmm("qmp", "a", "query-migrate")).stdout).toBe("{}\n");
  });
});
