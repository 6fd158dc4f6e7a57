/**
 * Signals that end the VM. None is lost, and none kills, at times when nobody could act on them: from the start of the
 * process until its handlers are there, and from shortly before an exec on.
 *
 * They are blocked in every thread and for good, so that one that comes waits, across an exec too. Where Bun's event loop
 * waits, no signal is blocked: there, on the main thread, they meet Bun's handlers, or in between a handler of ours, a few
 * bytes of machine code that note the number. Were they let in on the main thread for longer, each thread that the runtime
 * starts there would be born with them let in, and could take one in the last moment before an exec.
 *
 * SIGQUIT, which is to end the process with a core at once, is blocked on the main thread alone, and while they wait.
 */
import {
  executable,
  getpid,
  kill,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  meetSignals,
  memoryView,
  mmap,
  PROT_READ,
  PROT_WRITE,
  restoreAction,
  type SavedAction,
  SIG_BLOCK,
  SIG_UNBLOCK,
  SIGHUP,
  SIGINT,
  SIGQUIT,
  SIGTERM,
  SignalSet,
  setNativeHandler,
  sigmask,
  signalName,
} from "@vmm/libc";
import type { Machine } from "../machine/machine.ts";

/** The signals that ask the VMM to end. */
export const processSignals = (): SignalSet => new SignalSet([...SIGNALS, SIGQUIT]);

/** Those of them that are served. */
const SIGNALS = [SIGTERM, SIGINT, SIGHUP] as const;
const SERVED = new SignalSet(SIGNALS);
/** An event loop that has something to do each time it looks does not wait, and meets none by itself (ms). */
const MEET_EVERY_MS = 1000;
const PAGE = 4096;

/** `void handler(int signal)`: stores the number at an address. */
function handlerCode(address: number): Uint8Array {
  const code = Uint8Array.of(
    ...[0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0], // mov rax,address
    ...[0x89, 0x38], // mov [rax],edi
    0xc3, // ret
  );
  new DataView(code.buffer).setBigUint64(2, BigInt(address), true);
  return code;
}

let handler = 0;
let word: Int32Array = new Int32Array(1);
let saved: SavedAction[] | undefined;

/** From here on these signals wait. */
export function holdEndSignals(): void {
  if (!handler) {
    const address = mmap({ length: PAGE, prot: PROT_READ | PROT_WRITE, flags: MAP_PRIVATE | MAP_ANONYMOUS });
    word = new Int32Array(memoryView(address, PAGE), 0, 1);
    handler = executable(handlerCode(address));
  }
  saved ??= SIGNALS.map((signal) => setNativeHandler(signal, handler));
  sigmask(SIG_BLOCK, processSignals());
}

/** Resolves when signals that have come are with their handlers: from Bun's they get there by way of the event loop. */
export async function hearSignals(): Promise<void> {
  meetSignals(SERVED);
  await Bun.sleep(1);
  await new Promise((resolve) => setImmediate(resolve));
}

/** The signal that met our handler, or 0. Others may be pending. */
export const heldSignal = (): number => Atomics.load(word, 0);

/** From here on they end the VM in order. */
export function endOnSignals(machine: Machine): void {
  const end = () => machine.end({ reason: "host-signal", status: 0 });
  letEndSignalsIn(() => {
    for (const signal of SIGNALS) process.on(signalName(signal), end);
  });
  setInterval(() => meetSignals(SERVED), MEET_EVERY_MS).unref();
}

/**
 * Gives them to Bun's handlers again: what came meanwhile comes when the event loop waits next.
 *
 * @param listen Sets handlers, where there are none yet.
 */
export function letEndSignalsIn(listen = () => {}): void {
  SIGNALS.forEach((signal, i) => {
    const action = saved?.[i];
    if (action) restoreAction(signal, action);
  });
  saved = undefined;
  listen();
  sigmask(SIG_UNBLOCK, new SignalSet([SIGQUIT]));
  const signal = Atomics.exchange(word, 0, 0);
  if (signal !== 0) kill(getpid(), signal);
}
