import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildBundle } from "./build-bundle.ts";
import { bundledEntry, cacheRoot, findBundle, type Program } from "./bundle-cache.ts";
import { pruneBundles } from "./prune-bundles.ts";
import { resolveProgram } from "./resolve-image.ts";

let folder = "";
let root = "";
let program: Program;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-image-"));
  root = join(folder, "cache");
  mkdirSync(join(folder, "src"));
  source("shared.ts", 'export const word: string = "one";');
  source("lazy.ts", 'import { word } from "./shared.ts"; export const late: string = "late " + word;');
  source(
    "main.ts",
    'import { word } from "./shared.ts"; console.log(word, (await import("./lazy.ts")).late);' +
      'new Worker(new URL("./worker.js", import.meta.url).href).onmessage = (e) => { console.log(e.data); process.exit(0); };',
  );
  source("worker.ts", 'import { word } from "./shared.ts"; postMessage("worker " + word);');
  program = { name: "demo", entries: ["main.ts", "worker.ts"].map((f) => join(folder, "src", f)) };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function source(name: string, text: string): void {
  writeFileSync(join(folder, "src", name), text);
}

function age(path: string, ms: number): void {
  const then = (Date.now() - ms) / 1000;
  utimesSync(path, then, then);
}

function ageSources(): void {
  for (const name of readdirSync(join(folder, "src"))) age(join(folder, "src", name), 10_000);
}

const run = (path: string) => Bun.spawnSync([path]).stdout.toString();

test("a bundle runs as its sources do, with its Workers and what it imports late", async () => {
  const entry = bundledEntry(await buildBundle(program, root), program);
  rmSync(join(folder, "src"), { recursive: true });
  expect(run(entry)).toBe("one late one\nworker one\n");
});

test("a script keeps what it imports late out of its first file, and runs without the sources", async () => {
  source(
    "tool.ts",
    'import { word } from "./shared.ts"; console.log(word, (await import("./lazy.ts")).late);',
  );
  const tool: Program = { name: "tool", entries: [join(folder, "src", "tool.ts")], script: true };
  const entry = bundledEntry(await buildBundle(tool, root), tool);
  rmSync(join(folder, "src"), { recursive: true });
  expect(entry).toEndWith("/tool.js");
  expect(await Bun.file(entry).text()).not.toContain("late ");
  expect(Bun.spawnSync([process.execPath, entry]).stdout.toString()).toBe("one late one\n");
});

test("a bundle is found again, and only for as long as no source changes", async () => {
  ageSources();
  expect(await findBundle(root, program)).toBeUndefined();
  const first = await buildBundle(program, root);
  expect(await findBundle(root, program)).toBe(first);
  source("shared.ts", 'export const word: string = "two";');
  expect(await findBundle(root, program)).toBeUndefined();
  const second = await buildBundle(program, root);
  expect(second).not.toBe(first);
  expect(run(bundledEntry(second, program))).toContain("two late two");
  expect(run(bundledEntry(first, program))).toContain("one late one");
});

test("a checkout that was copied with its cache does not run the other's sources", async () => {
  ageSources();
  await buildBundle(program, root);
  const copy = join(folder, "copy");
  cpSync(join(folder, "src"), join(copy, "src"), { recursive: true, preserveTimestamps: true });
  const copied: Program = { ...program, entries: program.entries.map((path) => path.replace(folder, copy)) };
  expect(await findBundle(root, program)).toBeDefined();
  expect(await findBundle(root, copied)).toBeUndefined();
});

test("a source that changes while the bundle is made shows as a change later", async () => {
  const building = buildBundle(program, root);
  source("shared.ts", 'export const word: string = "new";');
  await building;
  const found = await findBundle(root, program);
  if (found) expect(run(bundledEntry(found, program))).toContain("new late new");
});

test("the same sources make the same bundle, and nothing is left of the second try", async () => {
  ageSources();
  const [a, b] = await Promise.all([buildBundle(program, root), buildBundle(program, root)]);
  expect(a).toBe(b);
  expect(readdirSync(root).sort()).toEqual([a.slice(root.length + 1), "demo.json"].sort());
});

test("sources that do not compile, and a cache that cannot be written, leave the source to run", async () => {
  const main = [process.execPath, "--no-env-file", "--no-install", program.entries[0] as string];
  writeFileSync(root, "a file in the cache's place");
  expect(await resolveProgram(program, { root })).toEqual(main);
  rmSync(root);
  source("shared.ts", "export const = ;");
  expect(await resolveProgram(program, { root })).toEqual(main);
  expect(readdirSync(root)).toEqual([]);
});

test("VMM_IMAGE=source and the caller's word run the source", async () => {
  expect((await resolveProgram(program, { root, source: true })).at(-1)).toBe(program.entries[0] as string);
  expect(existsSync(root)).toBe(false);
});

test("old bundles go, except the newest few and those that run", async () => {
  mkdirSync(root, { recursive: true });
  const names = Array.from({ length: 12 }, (_, i) => `demo-${i.toString(16).padStart(16, "0")}`);
  names.forEach((name, i) => {
    mkdirSync(join(root, name));
    age(join(root, name), 3_600_000 * (i + 2));
  });
  const oldest = join(root, names[11] as string);
  writeFileSync(join(oldest, "main.js"), 'console.log("up"); setInterval(() => {}, 1000);');
  age(oldest, 3_600_000 * 13);
  const running = Bun.spawn([process.execPath, join(oldest, "main.js")], { stdout: "pipe" });
  try {
    await running.stdout.getReader().read();
    mkdirSync(join(root, ".demo-1-1"));
    age(join(root, ".demo-1-1"), 7_200_000);
    mkdirSync(join(root, "other-0000000000000000"));
    age(join(root, "other-0000000000000000"), 7_200_000);
    pruneBundles(root, "demo", names[0] as string);
    expect(readdirSync(root).sort()).toEqual(
      [...names.slice(0, 3), names[11] as string, "other-0000000000000000"].sort(),
    );
  } finally {
    running.kill();
    await running.exited;
  }
});

test("the cache is the checkout's, or that of the installation", () => {
  expect(cacheRoot("/c/packages/vmm/src/image/x.ts")).toBe("/c/node_modules/.cache/vmm");
  expect(cacheRoot("/app/node_modules/@vmm/vmm/src/image/x.ts")).toBe("/app/node_modules/.cache/vmm");
});
