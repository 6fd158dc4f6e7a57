/** The whole matrix, or what of it a run has time for. */
import { afterExecRows } from "./after-exec.ts";
import { beforeExecRows } from "./before-exec.ts";
import { damagedStateRows } from "./damaged-state.ts";
import { deviceRows } from "./device-rows.ts";
import { keeperRows } from "./keeper.ts";
import type { FaultRow, RowResult } from "./row.ts";
import { FaultRunner, type FaultRunnerOptions } from "./runner.ts";
import { transferRows } from "./transfer.ts";

export const allRows = (): FaultRow[] => [
  ...beforeExecRows(),
  ...afterExecRows(),
  ...damagedStateRows(),
  ...keeperRows(),
  ...transferRows(),
  ...deviceRows(),
];

export const shortRows = (): FaultRow[] => allRows().filter(({ long }) => !long);

/** Runs rows; those that need the fault device have a VM of their own. */
export async function* runRows(
  rows: readonly FaultRow[],
  options: Omit<FaultRunnerOptions, "device"> = {},
): AsyncGenerator<RowResult> {
  const ended = new Set<string>();
  for (const device of [false, true]) {
    const mine = rows.filter((row) => (row.device !== undefined) === device);
    if (mine.length === 0) continue;
    await using runner = new FaultRunner({ ...options, device });
    for (const [i, row] of mine.entries()) {
      if (row.series !== undefined && ended.has(row.series)) continue;
      const result = await runner.run(row, mine[i + 1]);
      const last = row.series !== undefined && result.verdict === "held" && result.outcome === "completed";
      if (last) ended.add(row.series as string);
      else yield result;
    }
  }
}
