/**
 * The program of the reactor's thread: it waits for fds and tells the main thread which are ready. A watch is armed for
 * one event (EPOLLONESHOT), so no fd is in two messages before the main thread has served it.
 */
import { epollWait, SIG_BLOCK, SIGUSR1, SignalSet, sigmask } from "@vmm/libc";
import { MAX_READY, type ReactorStart, STOP_ID } from "./reactor/protocol.ts";

declare const self: Worker;

function waitForEver(epoll: number): void {
  for (;;) {
    const ready = epollWait(epoll, MAX_READY, -1);
    self.postMessage(Float64Array.from(ready.flatMap(({ data, events }) => [data, events])));
    if (ready.some(({ data }) => data === STOP_ID)) return;
  }
}

self.onmessage = ({ data }: MessageEvent<ReactorStart>) => {
  // vCPU threads are kicked with it; this thread must never take such a signal in their place
  sigmask(SIG_BLOCK, new SignalSet([SIGUSR1]));
  waitForEver(data.epoll);
};
