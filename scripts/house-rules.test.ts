/** The rules of the house that a program can check; CONTRIBUTING.md has them all. */
import { expect, test } from "bun:test";
import { dirname, join, relative } from "node:path";

const ROOT = dirname(import.meta.dir);

/** Imports point one way: what each package may import of the others. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  libc: [],
  cpr: ["libc"],
  vmm: ["libc", "cpr"],
  cli: ["libc", "cpr", "vmm"],
};

/** What runs between exec and the first KVM_RUN. */
const START_UP_PATH = ["main", "vcpu-worker", "reactor-worker"].map((name) => `packages/vmm/src/${name}.ts`);

function sourcesBelow(folder: string): string[] {
  const files = [...new Bun.Glob(`${folder}/**/*.ts`).scanSync(ROOT)];
  return files.filter((file) => !file.includes("node_modules/")).sort();
}

const textOf = (file: string): Promise<string> => Bun.file(join(ROOT, file)).text();

/** Whatever is imported or exported from, types included. */
function importsOf(text: string): string[] {
  const statements = text.matchAll(
    /^(?:import|export)\b[^;"']*["']([^"']+)["']|\bimport\(["']([^"']+)["']\)/gm,
  );
  return [...statements].map(([, specifier, dynamic]) => (specifier ?? dynamic) as string);
}

/** Whether a relative import reaches out of the package; tests may use the test helpers of what is below them. */
function reachesOut(name: string, allowed: readonly string[], file: string, specifier: string): boolean {
  if (!specifier.startsWith(".")) return false;
  const target = join(dirname(file), specifier);
  const helpers = [name, ...allowed].map((other) => `packages/${other}/test/`);
  const isTest = file.endsWith(".test.ts") || file.startsWith(`packages/${name}/test/`);
  if (isTest && helpers.some((folder) => target.startsWith(folder))) return false;
  return !target.startsWith(`packages/${name}/`);
}

test("packages import each other one way only, and each other's files only through the package", async () => {
  const packages = [...new Bun.Glob("packages/*/package.json").scanSync(ROOT)].map(
    (file) => file.split("/")[1],
  );
  expect(packages.sort()).toEqual(Object.keys(MAY_IMPORT).sort());
  const wrong: string[] = [];
  for (const [name, allowed] of Object.entries(MAY_IMPORT)) {
    for (const file of sourcesBelow(`packages/${name}`)) {
      for (const specifier of importsOf(await textOf(file))) {
        const other = /^@vmm\/([^/]+)/.exec(specifier)?.[1];
        const isForeign = other !== undefined && other !== name && !allowed.includes(other);
        if (isForeign || reachesOut(name, allowed, file, specifier))
          wrong.push(`${file} imports ${specifier}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("the start-up path imports nothing but our own files and what Bun has built in", async () => {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const seen = new Set<string>();
  const wrong: string[] = [];
  const waiting = START_UP_PATH.map((file) => join(ROOT, file));
  for (let file = waiting.pop(); file; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    if (file.endsWith(".json")) continue;
    // Types are gone here, and what is imported only when it is needed is of another kind.
    for (const { path, kind } of transpiler.scanImports(await Bun.file(file).text())) {
      if (kind !== "import-statement" || /^(bun|node):/.test(path)) continue;
      if (path.startsWith(".") || path.startsWith("@vmm/"))
        waiting.push(Bun.resolveSync(path, dirname(file)));
      else wrong.push(`${relative(ROOT, file)} imports ${path}`);
    }
  }
  expect(seen.size).toBeGreaterThan(START_UP_PATH.length);
  expect(wrong).toEqual([]);
});

test("every test that may be skipped says in its name what it needs", async () => {
  const wrong: string[] = [];
  for (const file of ["packages", "tests"]
    .flatMap(sourcesBelow)
    .filter((name) => name.endsWith(".test.ts"))) {
    const skips = (await textOf(file)).matchAll(/\.skip(?:If\([\s\S]*?\))?\(\s*("[^"]*"|`[^`]*)/g);
    for (const [, name = ""] of skips) {
      // A reason that is found out at run time is put into the name then.
      if (!/\(.+\)"$|\$\{/.test(name)) wrong.push(`${file}: ${name}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("every variable of the environment that the program knows is in the documentation", async () => {
  const docs = await Promise.all(
    [...new Bun.Glob("docs/*.md").scanSync(ROOT)].map((file) => Bun.file(join(ROOT, file)).text()),
  );
  const known = new Set(docs.join("\n").match(/\bVMM_[A-Z_]+\b/g));
  const missing: string[] = [];
  for (const file of sourcesBelow("packages").filter((source) => source.includes("/src/"))) {
    for (const [, quoted, read] of (await textOf(file)).matchAll(/"(VMM_[A-Z_]+)"|\benv\.(VMM_[A-Z_]+)/g)) {
      const name = (quoted ?? read) as string;
      if (!known.has(name)) missing.push(`${name} in ${file}`);
    }
  }
  expect(missing).toEqual([]);
});
