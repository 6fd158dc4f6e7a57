/**
 * Programs of this checkout as images: executables with Bun and the parsed program in them, made on first use and reused
 * for as long as no source file changes.
 *
 * The pause of a live update is a start of Bun: about 25 ms with this program's sources, 15 ms with one bundled file, and
 * 7 ms with an image. An image is immutable once it is made, and a single file: a VM that runs from one finds the same
 * code again by one fd when an update fails and it must go back.
 */
import { VmmError } from "../vmm-error.ts";

/** A program that is built as a whole: its entries end up beside each other. */
export interface Program {
  /** Names the executable, such as `vmm`. */
  readonly name: string;
  /** Source files, absolute. The first is the program, the others its Workers' programs. */
  readonly entries: readonly string[];
  /**
   * A script for Bun in place of an executable: for what Bun is started for anyway. What it imports lazily is in files of
   * its own, which are parsed only when they are needed.
   */
  readonly script?: boolean;
}

/** What a bundle was made from, to tell whether it is still what the sources say. */
export interface BundleManifest {
  /** The bundle's folder in the cache. */
  readonly folder: string;
  /** The Bun that made it. */
  readonly bun: string;
  /** The entries that it was made of: a checkout that was copied or moved has others. */
  readonly entries: readonly string[];
  readonly inputs: readonly SourceStamp[];
}

/** A source file with its time of change (ms) and size (bytes). */
export type SourceStamp = readonly [path: string, changed: number, size: number];

/** Bun.file looks without `node:fs`, which would cost more to import than all the looking. */
export function stampOf(path: string): SourceStamp {
  const file = Bun.file(path);
  return [path, file.lastModified, file.size];
}

export const BUN_ID = `${Bun.version}+${Bun.revision}`;

/** The cache of the checkout or installation that holds this file. */
export function cacheRoot(file: string = import.meta.path): string {
  const modules = file.indexOf("/node_modules/");
  if (modules !== -1) return `${file.slice(0, modules)}/node_modules/.cache/vmm`;
  const packages = file.lastIndexOf("/packages/");
  if (packages === -1) throw new VmmError("config", `${file} is in no checkout`);
  return `${file.slice(0, packages)}/node_modules/.cache/vmm`;
}

export const manifestPath = (root: string, program: Program): string => `${root}/${program.name}.json`;

function isFresh(manifest: BundleManifest, { entries }: Program): boolean {
  return (
    manifest.bun === BUN_ID &&
    manifest.entries.join() === entries.join() &&
    manifest.inputs.every(([path, changed, size]) => {
      const [, nowChanged, nowSize] = stampOf(path);
      return changed === nowChanged && size === nowSize;
    })
  );
}

/** The program's bundle, where there is one and no source has changed since. Takes about 1 ms. */
export async function findBundle(root: string, program: Program): Promise<string | undefined> {
  try {
    const manifest: BundleManifest = await Bun.file(manifestPath(root, program)).json();
    const folder = `${root}/${manifest.folder}`;
    // One that an older version of this code made, or that was cut short, is made anew.
    return isFresh(manifest, program) && Bun.file(bundledEntry(folder, program)).size > 0
      ? folder
      : undefined;
  } catch {
    return undefined;
  }
}

/** The executable in an image's folder, or the script. */
export function bundledEntry(folder: string, { name, script }: Program): string {
  return script ? `${folder}/${name}.js` : `${folder}/${name}`;
}
