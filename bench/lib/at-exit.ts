/** What must be done however a benchmark ends: by itself, by an error, by Ctrl-C or SIGTERM. SIGKILL leaves things behind. */
import { constants } from "node:os";

type Task = () => void;

const tasks = new Set<Task>();
let isWatching = false;

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
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
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
