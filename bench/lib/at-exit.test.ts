import { expect, test } from "bun:test";

const MODULE = JSON.stringify(`${import.meta.dir}/at-exit.ts`);

async function run(program: string, signal?: "SIGINT" | "SIGTERM") {
  const source = `import { atExit, atFirstSignal } from ${MODULE}; ${program}`;
  const child = Bun.spawn([process.execPath, "-e", source], { stderr: "pipe", timeout: 10_000 });
  let output = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += chunk;
    if (signal && output.includes("ready")) child.kill(signal);
  }
  return { output: output.trim().split("\n"), status: await child.exited };
}

const TASKS = `atExit(() => console.log("first")); const now = atExit(() => console.log("second"));`;

test("tasks run at the end, the last one first", async () => {
  expect(await run(TASKS)).toEqual({ output: ["second", "first"], status: 0 });
});

test("a task that was run before is not run again", async () => {
  expect(await run(`${TASKS} now(); now(); console.log("end")`)).toEqual({
    output: ["second", "end", "first"],
    status: 0,
  });
});

test("tasks run after an error", async () => {
  expect(await run(`${TASKS} throw new Error("no")`)).toEqual({ output: ["second", "first"], status: 1 });
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("tasks run at %s", async (signal, status) => {
  const program = `${TASKS} console.log("ready"); setTimeout(() => {}, 60_000);`;
  expect(await run(program, signal)).toEqual({ output: ["ready", "second", "first"], status });
});

test("the first signal asks for the end where there is something to tell, the second ends the process", async () => {
  const asked = 'atFirstSignal((status) => { console.log("asked", status); console.log("ready"); });';
  const program = `${TASKS} ${asked} console.log("ready"); setTimeout(() => {}, 60_000);`;
  const { output, status } = await run(program, "SIGINT");
  expect(output.filter((line) => line !== "ready")).toEqual(["asked 130", "second", "first"]);
  expect(status).toBe(130);
});
