/** Updates of a subject, one after the other, with the observer beside them. */
import { monotonicNs } from "@vmm/libc";
import { COUNT_STRIDE, HEARTBEAT } from "@vmm/vmm/boot/heartbeat/map.ts";
import type { Standstill } from "../lib/observer/log.ts";
import { Observer, type ObserverQuality } from "../lib/observer/observer.ts";
import { episodesIn, episodesOf, type Pause, pauseOf, totalMs } from "./pause.ts";
import type { OwnReport, Subject } from "./subject.ts";

export interface Measurement {
  readonly pauses: readonly Pause[];
  /** What the VMM itself said of each update. */
  readonly reports: readonly OwnReport[];
  /** What the observer saw of the pause that the VMM itself tells of: standstills that lie in it, with all before and after (ms). */
  readonly seenMs: readonly number[];
  /** Updates in which the guest was not seen to stand still: shorter than the threshold. */
  readonly unseen: number;
  /** For how long the guest stood still from one update to the next: what the one left behind, and the host's doing (ms per s). */
  readonly between: readonly number[];
  readonly observer: ObserverQuality;
}

/** Standstills below this are not logged (ns): twice the time between two looks. */
const THRESHOLD = 250_000;
/** Nor do those below this count as one of an update: the host makes such at any time. A pause is known by its time. */
const COUNTED = 500_000;
/** Between two updates, so that what the last one left behind has ended (ms). */
const SETTLE_MS = 120;
/** An update after whose exec no standstill was seen within this time had none that is long enough (ms). */
const PAUSE_LIMIT_MS = 3000;

/** @param warmUp Updates before those that count. */
export async function measureUpdates(subject: Subject, updates: number, warmUp = 1): Promise<Measurement> {
  const { ram, cpus } = subject;
  const place = { offset: HEARTBEAT.COUNT, stride: COUNT_STRIDE };
  await using observer = await Observer.start({ ram, cpus, ...place, threshold: THRESHOLD });
  const pauses: Pause[] = [];
  const reports: OwnReport[] = [];
  const seenMs: number[] = [];
  const between: number[] = [];
  let unseen = 0;
  for (let update = -warmUp; update < updates; update++) {
    const idle = observer.seen;
    await Bun.sleep(SETTLE_MS);
    const mark = observer.seen;
    const own = await subject.update(() => pauseSeen(observer, mark));
    await Bun.sleep(SETTLE_MS / 4);
    if (update < 0) continue;
    between.push((1000 * totalMs(episodesOf(counted(observer.standstills(idle, mark)), cpus))) / SETTLE_MS);
    const seen = observer.standstills(mark);
    if (own.intervals) seenMs.push(totalMs(episodesIn(episodesOf(seen, cpus), own.intervals)));
    const pause = pauseOf(counted(seen), cpus);
    if (pause) pauses.push(pause);
    else unseen++;
    reports.push(own);
  }
  return { pauses, reports, seenMs, unseen, between, observer: await observer.stop() };
}

const counted = (seen: readonly Standstill[]): Standstill[] => seen.filter(({ ns }) => ns >= COUNTED);

/** Waits for the end of a standstill that ends from now on. Looks rarely, so that the update has the machine's cores. */
async function pauseSeen(observer: Observer, mark: number): Promise<void> {
  const since = monotonicNs();
  const deadline = performance.now() + PAUSE_LIMIT_MS;
  while (performance.now() < deadline) {
    if (observer.standstills(mark).some((s) => s.end > since)) return;
    await Bun.sleep(10);
  }
}
