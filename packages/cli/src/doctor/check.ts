/** One thing that the doctor looks at. */
export interface Check {
  /** What it is, in a word or two. */
  readonly name: string;
  /** `missing` is not there at all; `warn` is there and falls short of something. */
  readonly state: "ok" | "warn" | "missing";
  /** What was found. */
  readonly detail: string;
  /** What to do about it. */
  readonly help?: string;
  /** No VM can run without it. */
  readonly required?: boolean;
}
