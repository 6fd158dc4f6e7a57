/**
 * Assembles the heartbeat guest into `image.ts`, so that a VM's start need not: assembling takes longer than
 * all that the guest does up to its first tick. Run it after a change of the guest's source; a test tells when to.
 *
 * Usage: bun packages/vmm/src/boot/heartbeat/build-image.ts
 */
import { heartbeatProgram } from "./program.ts";

/** The text of `image.ts`. */
export function heartbeatImageSource(): string {
  const { code, entry } = heartbeatProgram();
  const lines = code.toBase64().match(/.{1,100}/g) ?? [];
  return [
    "/** The heartbeat guest's program, made from `program.ts` by `build-image.ts`: do not edit. */",
    "",
    "/** Where the boot processor enters it. */",
    `export const ENTRY = 0x${entry.toString(16)};`,
    "",
    "/** Base64 of the code. */",
    "export const IMAGE =",
    `${lines.map((line) => `  "${line}"`).join(" +\n")};`,
    "",
  ].join("\n");
}

if (import.meta.main) await Bun.write(`${import.meta.dir}/image.ts`, heartbeatImageSource());
