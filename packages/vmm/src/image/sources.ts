/** Where the sources of this package are, also for a bundle that was made of them. */

/** Defined in bundles. */
declare const VMM_SOURCES: string | undefined;

/** The folder `src` of this package. */
export const SOURCES: string =
  typeof VMM_SOURCES === "string" ? VMM_SOURCES : import.meta.dir.slice(0, import.meta.dir.lastIndexOf("/"));
