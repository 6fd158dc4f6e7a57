/** The RAM in saved states: how much of it there is, and which pages differ. */
import type { RamPlacement } from "@vmm/cpr";
import type { OpenState } from "./read-state-file.ts";

const PAGE = 4096;

export interface RamSummary {
  readonly name: string;
  /** Of the block, in bytes. */
  readonly size: number;
  /** Pages of it that are in the file; all others hold nothing but zeros. */
  readonly pages: number;
  /** The file in which it stays; it is in this one where there is none. */
  readonly path?: string;
}

const blocksOf = ({ state }: OpenState): readonly RamPlacement[] => state.header.ram ?? [];

export function summarizeRam(file: OpenState): RamSummary[] {
  return blocksOf(file).map((block, i) => {
    const bytes = file.runs.filter((run) => run.block === i).reduce((sum, run) => sum + run.length, 0);
    const { name, size } = block;
    return { name, size, pages: bytes / PAGE, ...(block.place === "file" && { path: block.path }) };
  });
}

/** Pages of a block that differ between two states. */
export interface RamChange {
  readonly name: string;
  readonly pages: number;
  /** Offset of the first of them in the block, in bytes. */
  readonly first: number;
}

/** The CRC-32 of each page of a block that is in the file, by its offset. */
function pageSums({ runs, source }: OpenState, block: number): Map<number, number> {
  const sums = new Map<number, number>();
  for (const { offset, length, at } of runs.filter((run) => run.block === block)) {
    const bytes = new Uint8Array(new ArrayBuffer(length));
    source.read(at, bytes);
    for (let i = 0; i < length; i += PAGE) sums.set(offset + i, Bun.hash.crc32(bytes.subarray(i, i + PAGE)));
  }
  return sums;
}

/** Whether two blocks lie in the files in the same runs with the same checksums: then nothing needs to be read. */
function sameRuns(a: OpenState, i: number, b: OpenState, j: number): boolean {
  const of = ({ runs }: OpenState, block: number) =>
    runs
      .filter((run) => run.block === block)
      .map(({ offset, length, crc }) => `${offset} ${length} ${crc}`)
      .join();
  return of(a, i) === of(b, j);
}

/** Compares the blocks that both states have in their files. What one of them has not is a difference of the headers. */
export function diffRam(before: OpenState, after: OpenState): RamChange[] {
  const later = blocksOf(after);
  return blocksOf(before).flatMap(({ name, place }, i): RamChange[] => {
    const j = later.findIndex((block) => block.name === name);
    const isInBoth = place === "stream" && later[j]?.place === "stream";
    if (!isInBoth || sameRuns(before, i, after, j)) return [];
    const [a, b] = [pageSums(before, i), pageSums(after, j)];
    const differ = [...new Set([...a.keys(), ...b.keys()])].filter((at) => a.get(at) !== b.get(at));
    return differ.length === 0
      ? []
      : [{ name, pages: differ.length, first: differ.reduce((least, at) => Math.min(least, at)) }];
  });
}
