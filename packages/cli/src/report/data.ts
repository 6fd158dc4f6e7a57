/** What a report is made from. Times are in ms since the update began, unless said otherwise. */

export interface ReportPhase {
  /** As `query-migrate` names it, such as `save`. */
  readonly name: string;
  readonly startMs: number;
  readonly durationMs: number;
}

/** How far a guest had counted, as seen from outside. */
export interface HeartbeatSample {
  readonly atMs: number;
  /** A count that wraps at 2^32. */
  readonly count: number;
}

/** The machine that it was measured on. */
export interface HostFacts {
  /** Such as `Linux 6.18.0 x86_64`. */
  readonly system: string;
  readonly processor: string;
  readonly cpus: number;
  /** Bytes of RAM. */
  readonly memory: number;
}

export interface VmFacts {
  readonly name: string;
  /** vCPUs. */
  readonly cpus: number;
  /** Bytes of RAM. */
  readonly memory: number;
  readonly accel: string;
}

/** One update of a VM. */
export interface UpdateReportData {
  readonly vm: VmFacts;
  readonly host: HostFacts;
  /** Such as `cpr-exec`. */
  readonly mode: string;
  /** Such as `completed` or `failed`. */
  readonly status: string;
  /** Why it failed. */
  readonly error?: string;
  /** When it began: ms since 1970-01-01 00:00 UTC. */
  readonly startedAt: number;
  readonly totalMs?: number;
  /** From the stop of the first vCPU until the last one ran again, less the time in between in which the guest ran. */
  readonly blackoutMs?: number;
  /** When the guest stood still, where that was not all the time from the phase `stop` on. */
  readonly standstills?: readonly { readonly startMs: number; readonly durationMs: number }[];
  readonly pidBefore?: number;
  readonly pidAfter?: number;
  readonly versionBefore?: string;
  readonly versionAfter?: string;
  /** The new VMM's command line. */
  readonly command?: readonly string[];
  /** Bytes of saved state. */
  readonly stateBytes?: number;
  /** In order. They follow on each other. */
  readonly phases: readonly ReportPhase[];
  /** What was seen of it from outside, such as the statuses. */
  readonly seen?: readonly { readonly what: string; readonly atMs: number }[];
  /** In order. */
  readonly heartbeat?: readonly HeartbeatSample[];
}

/** One of many updates in a row. */
export interface SoakUpdate {
  readonly mode: string;
  /** How long the guest stood still. */
  readonly pauseMs: number;
}

/** Something that must not grow from update to update. */
export interface SoakGauge {
  /** Such as `open fds`. */
  readonly name: string;
  readonly unit: "bytes" | "count";
  /** After the first update, and now and then up to the last. */
  readonly values: readonly number[];
}

/** Many updates in a row under one running guest. */
export interface SoakReportData {
  readonly vm: VmFacts;
  readonly host: HostFacts;
  readonly version: string;
  /** ms since 1970-01-01 00:00 UTC. */
  readonly startedAt: number;
  readonly totalMs: number;
  /** Who measured the pauses, such as `an observer of the guest's RAM`. */
  readonly measuredBy: string;
  /** In order. */
  readonly updates: readonly SoakUpdate[];
  readonly gauges: readonly SoakGauge[];
  /** One line for each thing that went wrong. */
  readonly failures: readonly string[];
}
