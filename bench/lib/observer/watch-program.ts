/**
 * The observer's process: `bun watch-program.ts OPTIONS`, where OPTIONS are JSON and fd 3 is the log. It maps the guest's
 * RAM read-only and touches nothing else of the VM.
 *
 * The loop is C, compiled in 5 ms by the compiler that Bun has built in: no compiler is needed, no garbage collector comes
 * between, and the guest's words are only read (the engine's Atomics.load is a locked add of 0). Where that compiler does
 * not work, the loop is JavaScript over pread.
 */
import { cc } from "bun:ffi";
import {
  MAP_SHARED,
  memoryView,
  mmap,
  monotonicNs,
  O_CLOEXEC,
  O_RDONLY,
  open,
  PR_SET_PDEATHSIG,
  PR_SET_TIMERSLACK,
  PROT_READ,
  PROT_WRITE,
  prctl,
  pread,
  SIGKILL,
  usleep,
} from "@vmm/libc";
import { LOG_SIZE, LogHeader, LogRecord, MAX_RECORDS, RECORDS_AT } from "./log.ts";

export interface WatchOptions {
  /** A path by which the RAM's file can be opened. */
  readonly ram: string;
  /** Where the first vCPU's count lies in it, in bytes. */
  readonly offset: number;
  readonly stride: number;
  readonly cpus: number;
  /** Shorter standstills are not logged (ns). */
  readonly threshold: number;
  /** Between two samples (ns). */
  readonly sleep: number;
  /** A sample this long after the one before is late (ns). */
  readonly late: number;
  readonly loop: "native" | "script";
}

const PAGE = 4096;

function watchNative(options: WatchOptions, log: number): void {
  const { symbols } = cc({
    source: `${import.meta.dir}/watch.c`,
    symbols: {
      watch: {
        args: ["ptr", "i32", "i32", "ptr", "ptr", "u32", "i64", "i64", "i64"],
        returns: "void",
      },
    },
  });
  const { offset, stride, cpus, threshold, sleep, late } = options;
  const page = offset - (offset % PAGE);
  const length = offset - page + stride * cpus;
  const fd = open(options.ram, O_RDONLY | O_CLOEXEC);
  const counts = mmap({ length, prot: PROT_READ, flags: MAP_SHARED, fd, offset: page }) + offset - page;
  const at = log as never;
  symbols.watch(
    counts as never,
    cpus,
    stride,
    at,
    (log + RECORDS_AT) as never,
    MAX_RECORDS,
    threshold,
    sleep,
    late,
  );
}

/** As `watch` in watch.c. */
function watchScript(options: WatchOptions, log: ArrayBuffer): void {
  const { offset, stride, cpus, threshold, sleep, late } = options;
  const fd = open(options.ram, O_RDONLY | O_CLOEXEC);
  const counts = new Uint32Array((stride * (cpus - 1)) / 4 + 1);
  const header = LogHeader.at(log);
  const stop = new Int32Array(log, 0, 1);
  let last = monotonicNs();
  pread(fd, counts, offset);
  const states = Array.from({ length: cpus }, (_, cpu) => ({
    value: counts[(cpu * stride) / 4] as number,
    before: last,
    first: last,
  }));
  header.cpus = cpus;
  header.began = BigInt(last);
  header.ready = 1;
  while (Atomics.load(stop, 0) === 0) {
    usleep(sleep / 1000);
    const t0 = monotonicNs();
    pread(fd, counts, offset);
    const t1 = monotonicNs();
    for (let cpu = 0; cpu < cpus; cpu++) {
      const state = states[cpu] as (typeof states)[0];
      const value = counts[(cpu * stride) / 4] as number;
      if (value === state.value) continue;
      if (last > state.first && t1 + last - (state.first + state.before) >= 2 * threshold) {
        append(log, { cpu, value: state.value, before: state.before, first: state.first, last, after: t1 });
      }
      Object.assign(state, { value, before: last, first: t1 });
    }
    if (t0 - last > late) header.late++;
    if (t0 - last > header.longest_gap) header.longest_gap = BigInt(t0 - last);
    header.samples++;
    last = t0;
  }
  header.ended = BigInt(last);
}

interface Seen {
  cpu: number;
  value: number;
  before: number;
  first: number;
  last: number;
  after: number;
}

function append(log: ArrayBuffer, { cpu, value, before, first, last, after }: Seen): void {
  const header = LogHeader.at(log);
  if (header.records >= MAX_RECORDS) {
    header.lost++;
    return;
  }
  const times = { before: BigInt(before), first: BigInt(first), last: BigInt(last), after: BigInt(after) };
  Object.assign(LogRecord.at(log, RECORDS_AT + header.records * LogRecord.size), { cpu, value, ...times });
  header.records++;
}

if (import.meta.main) {
  // whoever started it may be killed
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // sleeps that end on time, where the scheduler gives no real-time priority
  prctl(PR_SET_TIMERSLACK, 1);
  const options = JSON.parse(Bun.argv[2] ?? "{}") as WatchOptions;
  const log = mmap({ length: LOG_SIZE, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd: 3 });
  if (options.loop === "native") watchNative(options, log);
  else watchScript(options, memoryView(log, LOG_SIZE));
}
