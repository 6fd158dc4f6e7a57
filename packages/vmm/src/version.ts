import manifest from "../package.json" with { type: "json" };

/** The version of this VMM, as it is told to clients and written into saved state. */
export const VERSION: string = manifest.version;
