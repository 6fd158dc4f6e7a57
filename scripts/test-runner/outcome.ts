/** What came of one part of the test run. */
export interface Outcome {
  passed: number;
  /** What failed, by name. */
  readonly failed: string[];
  readonly skipped: Skipped[];
}

export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

export function emptyOutcome(): Outcome {
  return { passed: 0, failed: [], skipped: [] };
}
