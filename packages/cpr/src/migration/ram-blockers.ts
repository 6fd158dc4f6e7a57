/** RAM that a mode cannot carry over. */
import type { RamBlock } from "../host.ts";
import { type MigrationMode, needsSharedRam } from "../modes.ts";

/** One reason for each block of RAM that stands in the way of the mode. */
export function ramBlockers(blocks: readonly RamBlock[], mode: MigrationMode): string[] {
  if (!needsSharedRam(mode)) return [];
  return blocks
    .filter(({ shared }) => !shared)
    .map(({ name, origin }) => {
      const help =
        origin === "backend"
          ? "share=on is required for memory-backend objects."
          : "aux-ram-share=on is required for RAM that no memory backend describes.";
      return `Memory region ${name} is not compatible with CPR. ${help}`;
    });
}
