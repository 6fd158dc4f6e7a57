/** What the observer and who started it share: a memfd with a header and the standstills seen so far. */
import { i64, struct, u32 } from "@vmm/libc";

export const LogHeader = struct("header", {
  /** Set by the starter to end the observer. */
  stop: u32,
  /** 1 once the first sample was taken. */
  ready: u32,
  records: u32,
  /** Standstills for which there was no room. */
  lost: u32,
  /** 1 where the observer runs with real-time priority. */
  fifo: u32,
  cpus: u32,
  samples: i64,
  /** Samples that came late, since the observer itself was held up. */
  late: i64,
  /** ns between two samples, at the most. */
  longest_gap: i64,
  /** CLOCK_MONOTONIC of the first and last sample. */
  began: i64,
  ended: i64,
});

/**
 * A time during which one count did not change. The clock is read before and after each sample: what is certain is taken
 * from either side.
 */
export const LogRecord = struct("record", {
  cpu: u32,
  /** Where the count stood. */
  value: u32,
  /** Before the last sample with another value. */
  before: i64,
  /** After the first sample with this value, and before the last one. */
  first: i64,
  last: i64,
  /** After the first sample with the next value. */
  after: i64,
});

/** Where the records begin, in bytes. */
export const RECORDS_AT = 4096;
export const MAX_RECORDS = 65_536;
export const LOG_SIZE = RECORDS_AT + MAX_RECORDS * LogRecord.size;

/** A time during which a vCPU did not count, as far as it can be known. */
export interface Standstill {
  readonly cpu: number;
  /** CLOCK_MONOTONIC in ns. */
  readonly start: number;
  readonly end: number;
  readonly ns: number;
  /** The standstill is this much longer or shorter, at the most. */
  readonly uncertainty: number;
}

export function readRecord(log: ArrayBufferLike, index: number): Standstill {
  const record = LogRecord.at(log, RECORDS_AT + index * LogRecord.size);
  const [before, first, last, after] = [record.before, record.first, record.last, record.after].map(
    Number,
  ) as [number, number, number, number];
  const start = (before + first) / 2;
  const end = (last + after) / 2;
  return { cpu: record.cpu, start, end, ns: end - start, uncertainty: (first - before + after - last) / 2 };
}
