/** Updates of a subject, one after the other, with the observer beside them. */
import { COUNT_STRIDE, HEARTBEAT } from "@vmm/vmm/boot/heartbeat/map.ts";
import { Observer, type ObserverQuality } from "../lib/observer/observer.ts";
import { type Pause, pauseOf } from "./pause.ts";
import type { Subject } from "./subject.ts";

export interface Measurement {
  readonly pauses: readonly Pause[];
  /** ms that the VMM itself reported, where it does. */
  readonly reported: readonly number[];
  /** Updates of which a vCPU's standstill was not seen: they took less than the threshold. */
  readonly unseen: number;
  readonly observer: ObserverQuality;
}

/** Standstills below this are not logged (ns). */
const THRESHOLD = 300_000;
/** A standstill of at least this is taken for the pause of an update, by who waits for its end (ns). */
const PAUSE = 700_000;
const PAUSE_LIMIT_MS = 20_000;
/** Between two updates, so that what the last one left behind has ended (ms). */
const SETTLE_MS = 120;

/** @param warmUp Updates before those that count. */
export async function measureUpdates(subject: Subject, updates: number, warmUp = 1): Promise<Measurement> {
  const { ram, cpus } = subject;
  const place = { offset: HEARTBEAT.COUNT, stride: COUNT_STRIDE };
  await using observer = await Observer.start({ ram, cpus, ...place, threshold: THRESHOLD });
  const pauses: Pause[] = [];
  const reported: number[] = [];
  let unseen = 0;
  for (let update = -warmUp; update < updates; update++) {
    await Bun.sleep(SETTLE_MS);
    const mark = observer.seen;
    const own = await subject.update(() => pauseSeen(observer, mark));
    await Bun.sleep(SETTLE_MS / 2);
    if (update < 0) continue;
    const pause = pauseOf(observer.standstills(mark), cpus);
    if (pause) pauses.push(pause);
    else unseen++;
    if (own !== undefined) reported.push(own);
  }
  return { pauses, reported, unseen, observer: await observer.stop() };
}

/** Looks now and then, so that the machine has its cores for the update. */
async function pauseSeen(observer: Observer, mark: number): Promise<void> {
  const deadline = performance.now() + PAUSE_LIMIT_MS;
  while (!observer.standstills(mark).some((s) => s.ns >= PAUSE)) {
    if (performance.now() > deadline) throw new Error("the guest was not seen to stand still and run again");
    await Bun.sleep(10);
  }
}
