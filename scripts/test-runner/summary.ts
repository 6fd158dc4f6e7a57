import type { Outcome } from "./outcome.ts";

/** A part that ran, and how long it took in seconds. */
export interface PartResult {
  readonly title: string;
  readonly outcome: Outcome;
  readonly seconds: number;
}

/**
 * The whole run on a few lines: a table of the parts, every failed test, every skipped one under its reason,
 * and the closing line `N passed, N failed, N skipped`.
 */
export function summary(results: readonly PartResult[]): string {
  const failed = results.flatMap(({ outcome }) => outcome.failed);
  const skipped = results.flatMap(({ outcome }) => outcome.skipped);
  const passed = results.reduce((sum, { outcome }) => sum + outcome.passed, 0);
  return [
    row("", "passed", "failed", "skipped", "time"),
    ...results.map(({ title, outcome, seconds }) => {
      const counts = [outcome.passed, outcome.failed.length, outcome.skipped.length].map(String);
      return row(title, ...counts, `${seconds.toFixed(1)} s`);
    }),
    ...section("Failed:", failed),
    ...[...Map.groupBy(skipped, ({ reason }) => reason)].flatMap(([reason, tests]) =>
      section(
        `Skipped: ${reason}`,
        tests.map(({ name }) => name),
      ),
    ),
    "",
    `${passed} passed, ${failed.length} failed, ${skipped.length} skipped`,
  ].join("\n");
}

function row(title: string, ...columns: string[]): string {
  return `${title.padEnd(20)}${columns.map((column) => column.padStart(9)).join("")}`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)];
}
