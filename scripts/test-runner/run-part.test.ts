import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Runs a part made of one folder of test files in a program of its own, and gives its outcome. */
async function runFolder(files: Record<string, string>, limit = 20) {
  const root = await temporaryFolder();
  try {
    for (const [name, text] of Object.entries(files)) await Bun.write(join(root, "tests", name), text);
    const part = { title: "some tests", run: { paths: ["tests"] }, limit };
    return await outcomeOf(part, root);
  } finally {
    await rm(root, { recursive: true });
  }
}

function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "vmm-run-part-"));
}

/** The part's own output is kept out of ours. */
async function outcomeOf(part: object, root: string) {
  const program = `
    import { runPart } from ${JSON.stringify(join(import.meta.dir, "run-part.ts"))};
    const outcome = await runPart(${JSON.stringify(part)}, ${JSON.stringify(root)});
    await Bun.write(${JSON.stringify(join(root, "outcome.json"))}, JSON.stringify(outcome));
  `;
  const child = Bun.spawn([process.execPath, "-e", program], { stdio: ["ignore", "ignore", "ignore"] });
  expect(await child.exited).toBe(0);
  return await Bun.file(join(root, "outcome.json")).json();
}

const IMPORT = `import { beforeAll, describe, expect, test } from "bun:test";\n`;

test("tests are counted, and what failed or was skipped is named with its group", async () => {
  const outcome = await runFolder({
    "some.test.ts": `${IMPORT}
      test("passes", () => {});
      describe("a <group>", () => {
        test("fails & goes on", () => expect(1).toBe(2));
        test.skip("waits (no /dev/kvm (or no permission))", () => {});
      });
      describe.skip("another (needs gcc)", () => {
        beforeAll(() => {});
        test("compiles", () => {});
      });
      describe("a third", () => {
        beforeAll(() => { throw new Error("in the hook"); });
        test("comes to nothing", () => {});
      });
      test.skip("is silent", () => {});`,
  });
  expect(outcome).toEqual({
    passed: 1,
    failed: ["tests/some.test.ts: a <group> > fails & goes on", "tests/some.test.ts: a third > a hook"],
    skipped: [
      {
        name: "tests/some.test.ts: a <group> > waits",
        reason: "no /dev/kvm (or no permission)",
      },
      { name: "tests/some.test.ts: another > compiles", reason: "needs gcc" },
      { name: "tests/some.test.ts: is silent", reason: "no reason given" },
    ],
  });
});

test("a file that does not load is a failure beside the tests of the others", async () => {
  const outcome = await runFolder({
    "broken.test.ts": `throw new Error("at load")`,
    "fine.test.ts": `${IMPORT} test("passes", () => {});`,
  });
  expect(outcome).toEqual({ passed: 1, failed: ["tests/broken.test.ts: exit status 1"], skipped: [] });
});

test("a file that crashes is one failure that names the signal, and the next one is run", async () => {
  const outcome = await runFolder({
    "crash.test.ts": `${IMPORT} test("crashes", () => void process.kill(process.pid, "SIGKILL"));`,
    "fine.test.ts": `${IMPORT} test("passes", () => {});`,
  });
  expect(outcome).toEqual({ passed: 1, failed: ["tests/crash.test.ts: ended by SIGKILL"], skipped: [] });
});

test("a part that hangs is ended at its limit, and what it did not come to is a failure too", async () => {
  const outcome = await runFolder(
    {
      "hang.test.ts": `${IMPORT} test("hangs", () => new Promise(() => {}), 60_000);`,
      "late.test.ts": `${IMPORT} test("passes", () => {});`,
    },
    1,
  );
  const failed = [
    "tests/hang.test.ts: not done after 1 s",
    "tests/late.test.ts: not run, since the time for this part is over",
  ];
  expect(outcome).toEqual({ passed: 0, failed, skipped: [] });
});

test("a process that is left running is a failure, and is ended", async () => {
  const sleeper = `Bun.spawn(["sleep", "300"], { detached: true, stdio: ["ignore", "ignore", "ignore"] })`;
  const outcome = await runFolder({
    "leaves.test.ts": `${IMPORT} test("passes", () => void ${sleeper}.unref());`,
  });
  expect(outcome).toEqual({
    passed: 1,
    failed: [expect.stringMatching(/^tests\/leaves\.test\.ts: left process \d+ running: sleep 300$/)],
    skipped: [],
  });
  const pid = Number(/process (\d+)/.exec(outcome.failed[0])?.[1]);
  expect(
    await Bun.file(`/proc/${pid}/cmdline`)
      .text()
      .catch(() => ""),
  ).not.toContain("sleep");
});

test("a folder without tests is a failure, not a success of nothing", async () => {
  const outcome = await runFolder({ "notes.txt": "" });
  expect(outcome).toEqual({ passed: 0, failed: ["some tests: no tests in tests"], skipped: [] });
});

test("a command is one test, by its exit status", async () => {
  const root = await temporaryFolder();
  try {
    const part = (command: string[]) => ({ title: "a command", run: { command }, limit: 20 });
    expect(await outcomeOf(part(["true"]), root)).toEqual({ passed: 1, failed: [], skipped: [] });
    const failed = { passed: 0, failed: ["a command: exit status 1"], skipped: [] };
    expect(await outcomeOf(part(["false"]), root)).toEqual(failed);
  } finally {
    await rm(root, { recursive: true });
  }
});
