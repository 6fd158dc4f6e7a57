/** Makes a bundle. Imported only where one is to be made. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import {
  BUN_ID,
  type BundleManifest,
  cacheRoot,
  manifestPath,
  type Program,
  type SourceStamp,
  stampOf,
} from "./bundle-cache.ts";
import { pruneBundles } from "./prune-bundles.ts";

/** What is built for one entry. */
async function buildEntry(entry: string, outdir: string): Promise<string[]> {
  const result = await Bun.build({
    entrypoints: [entry],
    outdir,
    target: "bun",
    // What is imported lazily stays out of the first file, and is parsed only when it is needed.
    splitting: true,
    // Whitespace and syntax cost time to parse; names are kept for stack traces.
    minify: { whitespace: true, syntax: true },
    naming: { entry: "[name].[ext]", chunk: "chunk-[hash].[ext]" },
    metafile: true,
  });
  return Object.keys(result.metafile?.inputs ?? {});
}

/** The sources with their stamps as they were before they were read: a change while we build shows as one later. */
function stampInputs(inputs: Iterable<string>, before: number): SourceStamp[] {
  return [...inputs].sort().map((path) => {
    const stamp = stampOf(path);
    return stamp[1] >= before ? ([path, 0, -1] as const) : stamp;
  });
}

function contentHash(files: readonly { path: string; text: string }[]): string {
  const hash = new Bun.CryptoHasher("sha256").update(BUN_ID);
  for (const { path, text } of files) hash.update(`\0${path}\0${text}`);
  return hash.digest("hex").slice(0, 16);
}

async function readOutputs(folder: string): Promise<{ path: string; text: string }[]> {
  const paths = [...new Bun.Glob("**/*").scanSync(folder)].sort();
  return Promise.all(paths.map(async (path) => ({ path, text: await Bun.file(join(folder, path)).text() })));
}

/** Puts the bundle in its place. Whoever comes second finds that it is there, made from the same sources. */
function install(from: string, to: string): void {
  if (existsSync(to)) return;
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
  }
}

/**
 * Builds the program into the cache and returns the bundle's folder.
 *
 * @throws where a source does not compile or the cache cannot be written.
 */
export async function buildBundle(program: Program, root: string = cacheRoot()): Promise<string> {
  const started = Date.now();
  const temporary = join(root, `.${program.name}-${process.pid}-${crypto.randomUUID()}`);
  mkdirSync(temporary, { recursive: true });
  try {
    const inputs = new Set<string>();
    for (const entry of program.entries) {
      for (const path of await buildEntry(entry, temporary)) inputs.add(resolve(path));
    }
    const folder = `${program.name}-${contentHash(await readOutputs(temporary))}`;
    install(temporary, join(root, folder));
    const lock = join(dirname(dirname(dirname(root))), "bun.lock");
    if (existsSync(lock)) inputs.add(lock);
    const manifest: BundleManifest = { folder, bun: BUN_ID, inputs: stampInputs(inputs, started) };
    writeFileSync(`${temporary}.json`, JSON.stringify(manifest));
    renameSync(`${temporary}.json`, manifestPath(root, program));
    pruneBundles(root, program.name, folder);
    return join(root, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    rmSync(`${temporary}.json`, { force: true });
  }
}
