/** What is measured: a VM whose guest counts in its RAM, and that can be updated under it. */
export interface Subject {
  readonly name: string;
  /** A path by which the guest's RAM can be opened; the counts lie in it as the heartbeat guest keeps them. */
  readonly ram: string;
  /** vCPUs that count. */
  readonly cpus: number;
  /**
   * Replaces the VMM, and returns when the guest runs under the new one.
   *
   * @throws Error where the update fails.
   */
  update(awaitPause: AwaitPause): Promise<OwnReport>;
  close(): Promise<void>;
}

/** What a VMM itself says of an update. */
export interface OwnReport {
  /** The pause (ms). */
  readonly pauseMs?: number | undefined;
  readonly phases?: readonly PhaseTime[];
  /** When the pause was: one interval, or several. */
  readonly intervals?: readonly Interval[];
}

/** ns of CLOCK_MONOTONIC. */
export interface Interval {
  readonly start: number;
  readonly end: number;
}

export interface PhaseTime {
  readonly name: string;
  readonly ms: number;
}

/** Waits, doing next to nothing, until the observer has seen the end of a pause. */
export type AwaitPause = () => Promise<void>;

export interface SubjectOptions {
  /** RAM, such as `64M`. */
  readonly memory: string;
  readonly cpus: number;
  /** Whether all pages are touched before. */
  readonly touch: boolean;
  /** Whether it comes before the rest of the host's work; see `goFirst`. */
  readonly first: boolean;
}

/** A kind of subject. */
export interface SubjectKind {
  readonly name: string;
  /** Why it cannot run here; one line. */
  unavailable(): string | undefined;
  start(options: SubjectOptions): Promise<Subject>;
}
