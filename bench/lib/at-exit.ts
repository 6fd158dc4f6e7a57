/** What must be done however a benchmark ends: by itself, by an error, by Ctrl-C or SIGTERM. SIGKILL leaves things behind. */
import { constants } from "node:os";

type Task = () => void;

const tasks = new Set<Task>();
let isWatching = false;
let onSignal: ((status: number) => void) | undefined;

function runAll(): void {
  for (const task of [...tasks].reverse()) {
    tasks.delete(task);
    try {
      task();
    } catch (error) {
      console.error(`bench: ${error instanceof Error ? error.message : error}`);
    }
  }
}

function watch(): void {
  if (isWatching) return;
  isWatching = true;
  process.on("exit", runAll);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      const status = 128 + constants.signals[signal];
      const ask = onSignal ?? process.exit;
      onSignal = undefined;
      ask(status);
    });
  }
}

/**
 * Has `task` run when the process ends, the last one given first. It must not wait.
 *
 * @returns Runs it now, where it has not run yet.
 */
export function atExit(task: Task): () => void {
  watch();
  const once = () => task();
  tasks.add(once);
  return () => {
    if (tasks.delete(once)) once();
  };
}

/** Has `task` run where the process ends before the result is disposed of. */
export function atExitUntilDisposed(task: () => void): Disposable {
  let over = false;
  const end = atExit(() => {
    if (!over) task();
  });
  return {
    [Symbol.dispose]() {
      over = true;
      end();
    },
  };
}

/**
 * Has the first signal only ask for the end: whoever has something to tell ends soon, with the status that it is given. A
 * second signal ends the process at once.
 */
export function atFirstSignal(ask: (status: number) => void): void {
  watch();
  onSignal = ask;
}
