/** Blocks SIGUSR1 on its own thread, tells the thread's id, and waits for the signal: a vCPU thread being kicked. */
import {
  blockedSignals,
  gettid,
  SIG_BLOCK,
  SIGUSR1,
  SignalSet,
  sigmask,
  sigtimedwait,
} from "../../src/index.ts";

declare const self: Worker;

const set = new SignalSet([SIGUSR1]);
sigmask(SIG_BLOCK, set);
self.postMessage({ tid: gettid(), blocked: [...blockedSignals()] });
const deadline = performance.now() + 10_000;
let signal: number | undefined;
while (signal === undefined && performance.now() < deadline) signal = sigtimedwait(set, 1_000_000_000);
self.postMessage({ signal });
