/** The image: the program that a VM process runs. */
import { bundledEntry, cacheRoot, findBundle, type Program } from "./bundle-cache.ts";
import { SOURCES } from "./sources.ts";

/** The VM process with the programs of its Workers, which it looks for beside itself. */
export const VMM_PROGRAM: Program = {
  name: "vmm",
  entries: ["main", "vcpu-worker", "reactor-worker"].map((name) => `${SOURCES}/${name}.ts`),
};

export interface Image {
  /** The words to start it with; its own arguments come after. */
  readonly argv: readonly string[];
}

export interface ImageOptions {
  /**
   * Run from the sources. So do VMs with plug-ins: a plug-in imports this package itself, and must come to the very
   * modules that the VM process runs.
   */
  readonly source?: boolean;
  readonly root?: string;
}

/**
 * The newest image of this checkout, which is made here where it is missing, or the sources themselves where that is not
 * possible or `VMM_IMAGE=source` asks for it.
 */
export async function resolveImage(options: ImageOptions = {}): Promise<Image> {
  return { argv: await resolveProgram(VMM_PROGRAM, options) };
}

/** The words that run the program. */
export async function resolveProgram(program: Program, options: ImageOptions = {}): Promise<string[]> {
  // Nothing of the folder in which the user happens to be becomes part of the VM.
  const source = [process.execPath, "--no-env-file", "--no-install", program.entries[0] as string];
  if (options.source || process.env.VMM_IMAGE === "source") return source;
  const root = options.root ?? cacheRoot();
  const found = await findBundle(root, program);
  if (found) return [bundledEntry(found, program)];
  try {
    const { buildBundle } = await import("./build-bundle.ts");
    return [bundledEntry(await buildBundle(program, root), program)];
  } catch {
    // The cache cannot be written, or a source does not compile: then running the source says so.
    return source;
  }
}

/** The file to import a script from: its bundle, or its source where there can be none. */
export async function resolveScript(
  name: string,
  source: string,
  options: ImageOptions = {},
): Promise<string> {
  return (await resolveProgram({ name, entries: [source], script: true }, options)).at(-1) as string;
}
