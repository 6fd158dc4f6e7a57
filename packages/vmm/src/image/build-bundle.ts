/** Makes an image. Imported only where one is to be made. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import {
  BUN_ID,
  type BundleManifest,
  bundledEntry,
  cacheRoot,
  manifestPath,
  type Program,
  type SourceStamp,
  stampOf,
} from "./bundle-cache.ts";
import { pruneBundles } from "./prune-bundles.ts";
import { SOURCES } from "./sources.ts";

/** Builds the executable and returns the paths of all files that went into it. */
async function compile(program: Program, outfile: string): Promise<string[]> {
  const result = await Bun.build({
    entrypoints: [...program.entries],
    target: "bun",
    format: "esm",
    // what is imported late is loaded late
    splitting: true,
    // parsed here, once, and not at every start
    bytecode: true,
    // names are kept for stack traces
    minify: { whitespace: true, syntax: true },
    define: { VMM_SOURCES: JSON.stringify(SOURCES) },
    metafile: true,
    compile: {
      outfile,
      // nothing of the folder in which the user happens to be becomes part of the VM
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  return Object.keys(result.metafile?.inputs ?? {}).map((path) => resolve(path));
}

/** Builds the script and returns the paths of all files that went into it. */
async function bundle(program: Program, outdir: string): Promise<string[]> {
  const result = await Bun.build({
    entrypoints: [...program.entries],
    outdir,
    target: "bun",
    splitting: true,
    minify: { whitespace: true, syntax: true },
    naming: { entry: `${program.name}.[ext]`, chunk: "chunk-[hash].[ext]" },
    define: { VMM_SOURCES: JSON.stringify(SOURCES) },
    metafile: true,
  });
  return Object.keys(result.metafile?.inputs ?? {}).map((path) => resolve(path));
}

/** The sources with their stamps as they were before they were read: a change while we build shows as one later. */
function stampInputs(inputs: readonly string[], before: number): SourceStamp[] {
  // what is installed changes by an install, and so with the lock file
  const ours = inputs.filter((path) => !path.includes("/node_modules/"));
  return ours.map((path) => {
    const stamp = stampOf(path);
    return stamp[1] >= before ? ([path, 0, -1] as const) : stamp;
  });
}

/** Files that are not in an image and still decide how it turns out: what is installed, and how images are built. */
function alsoDecisive(root: string): string[] {
  const lock = join(dirname(dirname(dirname(root))), "bun.lock");
  return [lock, `${SOURCES}/image/build-bundle.ts`].filter((path) => existsSync(path));
}

/** What an image is made from decides its name. */
function contentHash(inputs: readonly string[]): string {
  const hash = new Bun.CryptoHasher("sha256").update(BUN_ID);
  for (const path of inputs) hash.update(`\0${path}\0`).update(readFileSync(path));
  return hash.digest("hex").slice(0, 16);
}

/** Puts the image in its place. Whoever comes second finds that it is there, made from the same sources. */
function install(from: string, to: string): void {
  if (existsSync(to)) return;
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
  }
}

/**
 * Builds the program into the cache and returns the image's folder. Takes about a second, and 105 MB: Bun is in it.
 *
 * @throws where a source does not compile or the cache cannot be written.
 */
export async function buildBundle(program: Program, root: string = cacheRoot()): Promise<string> {
  const started = Date.now();
  const temporary = join(root, `.${program.name}-${process.pid}-${crypto.randomUUID()}`);
  mkdirSync(temporary, { recursive: true });
  try {
    const build = program.script
      ? bundle(program, temporary)
      : compile(program, bundledEntry(temporary, program));
    const inputs = [...(await build).sort(), ...alsoDecisive(root)];
    const folder = `${program.name}-${contentHash(inputs)}`;
    install(temporary, join(root, folder));
    const { entries } = program;
    const manifest: BundleManifest = { folder, bun: BUN_ID, entries, inputs: stampInputs(inputs, started) };
    writeFileSync(`${temporary}.json`, JSON.stringify(manifest));
    renameSync(`${temporary}.json`, manifestPath(root, program));
    pruneBundles(root, program.name, folder);
    return join(root, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    rmSync(`${temporary}.json`, { force: true });
  }
}
