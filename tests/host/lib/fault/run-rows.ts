/** The whole matrix, or what of it a run has time for. */
import { afterExecRows } from "./after-exec.ts";
import { beforeExecRows } from "./before-exec.ts";
import { damagedStateRows } from "./damaged-state.ts";
import { deviceRows } from "./device-rows.ts";
import { keeperRows } from "./keeper.ts";
import type { FaultRow, RowResult } from "./row.ts";
import { FaultRunner, type FaultRunnerOptions } from "./runner.ts";
import { transferRows } from "./transfer.ts";

/** @param damageAt See `damagedStateRows`. */
export const allRows = (damageAt: readonly string[] = []): FaultRow[] => [
  ...beforeExecRows(),
  ...afterExecRows(),
  ...damagedStateRows(damageAt),
  ...keeperRows(),
  ...transferRows(),
  ...deviceRows(),
];

export const shortRows = (): FaultRow[] => allRows().filter(({ long }) => !long);

const TOO_FEW = "the fault still strikes: there are passes that no row tries";

/**
 * Runs rows; those that need the fault device have a VM of their own.
 *
 * @throws where there is none: nothing would be found, whatever is broken.
 */
export async function* runRows(
  rows: readonly FaultRow[],
  options: Omit<FaultRunnerOptions, "device"> = {},
): AsyncGenerator<RowResult> {
  if (rows.length === 0) throw new Error("there is no such row");
  const ended = new Set<string>();
  for (const device of [false, true]) {
    const mine = rows.filter((row) => (row.device !== undefined) === device);
    if (mine.length === 0) continue;
    await using runner = new FaultRunner({ ...options, device });
    for (const [i, row] of mine.entries()) {
      const { series } = row;
      if (series !== undefined && ended.has(series.name)) continue;
      const result = await runner.run(row, mine[i + 1]);
      const struck = result.outcome !== "completed";
      if (series === undefined || result.verdict !== "held" || (struck && !series.isLast)) yield result;
      else if (struck) yield { ...result, verdict: "broken", problems: [TOO_FEW] };
      else ended.add(series.name);
    }
  }
}

/** Runs rows on several VMs at once; results come as they are known. */
export async function* runBeside(
  rows: readonly FaultRow[],
  vms: number,
  options: Omit<FaultRunnerOptions, "device" | "rests"> = {},
): AsyncGenerator<RowResult> {
  const parts = deal(rows, vms).filter((part) => part.length > 0);
  const rests = vms > 1;
  yield* merge(parts.map((part) => runRows(part, { ...options, rests })));
}

/** To each of so many its share. Those of a series, and those for a VM with the fault device, are the first one's. */
function deal(rows: readonly FaultRow[], vms: number): FaultRow[][] {
  const parts: FaultRow[][] = Array.from({ length: vms }, () => []);
  let turn = 0;
  for (const row of rows) {
    const alone = row.series !== undefined || row.device !== undefined;
    parts[alone ? 0 : turn++ % vms]?.push(row);
  }
  return parts;
}

async function* merge<T>(sources: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const next = async (source: AsyncGenerator<T>) => ({ source, result: await source.next() });
  const waiting = new Map(sources.map((source) => [source, next(source)]));
  try {
    while (waiting.size > 0) {
      const { source, result } = await Promise.race(waiting.values());
      if (result.done) {
        waiting.delete(source);
        continue;
      }
      waiting.set(source, next(source));
      yield result.value;
    }
  } finally {
    // where one has failed, or nobody wants more, the others have VMs
    await Promise.allSettled([...waiting.values(), ...sources.map((source) => source.return(undefined))]);
  }
}
