import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export const ROOT = dirname(dirname(import.meta.dir));

/** One part of the test run, in the order they run. */
export interface Part {
  readonly title: string;
  /** A command that is one test by itself, or the folders and files whose tests are run. */
  readonly run: { readonly command: readonly string[] } | { readonly paths: readonly string[] };
  /** A part that runs longer has hung. In seconds. */
  readonly limit: number;
  /** As `limit`, of one file. */
  readonly fileLimit?: number;
}

export const PARTS = {
  lint: { title: "lint", run: { command: [process.execPath, biome(), "check", "."] }, limit: 60 },
  // Without --no-script `bun check` would run the package's script of that name.
  check: { title: "type check", run: { command: [process.execPath, "check", "--no-script"] }, limit: 60 },
  unit: {
    title: "unit tests",
    run: { paths: ["packages/*/src", "scripts", "examples", "bench", "tests/golden"] },
    limit: 240,
    fileLimit: 90,
  },
  // Those of the packages start processes of their own, as those of whole VMs do.
  host: {
    title: "tests on this host",
    run: { paths: ["packages/*/test", "tests/host"] },
    limit: 900,
    fileLimit: 300,
  },
  lab: { title: "tests in the lab", run: { paths: ["tests/lab"] }, limit: 1500 },
} as const satisfies Record<string, Part>;

/** The part that runs what somebody names. Its limit is theirs to set, by Ctrl-C. */
export function chosenPart(paths: readonly string[]): Part {
  return { title: "tests", run: { paths }, limit: 24 * 3600 };
}

export type PartName = keyof typeof PARTS;

export const PART_NAMES = Object.keys(PARTS) as PartName[];

/** Biome's launcher is a script for Node that runs in Bun as well; its own shebang would need a Node. */
function biome(): string {
  const manifest = createRequire(join(ROOT, "package.json")).resolve("@biomejs/biome/package.json");
  return join(dirname(manifest), "bin", "biome");
}
