/** A terminal, or a pipe, on a VM's console. */
import { setNonblocking } from "@vmm/libc";
import { isTerminal, rawMode } from "../terminal.ts";
import type { VmFolder } from "../vm/find-vms.ts";
import { ConsoleLink } from "./console-link.ts";
import { writeOut } from "./output.ts";

const STDIN = 0;
const STDOUT = 1;
/** Ctrl-], as in telnet and virsh. */
const LEAVE = 0x1d;

const note = (text: string) => console.error(`[vmm: ${text}]`);

/**
 * Copies stdin to the console and the console to stdout, until Ctrl-] is typed or the VM ends. On a pipe, the end of
 * stdin only ends the typing.
 */
export async function attachConsole(vm: VmFolder): Promise<"left" | "ended"> {
  const link = new ConsoleLink(vm, {
    data: (bytes) => {
      if (!writeOut(STDOUT, bytes)) link.leave();
    },
    reconnected: () => note("the connection broke and is back; what the console showed follows again"),
  });
  const interactive = isTerminal(STDIN);
  if (interactive) note(`console of "${vm.name}"; Ctrl-] leaves`);
  const restore = interactive ? enterRawMode() : () => {};
  const typing = new AbortController();
  try {
    void copyInput(link, interactive, typing.signal);
    return await link.run();
  } finally {
    typing.abort();
    restore();
    if (interactive) console.error();
  }
}

/** Raw mode, given back however this process ends but by SIGKILL. */
function enterRawMode(): () => void {
  const leaveRawMode = rawMode(STDIN);
  const restore = () => {
    leaveRawMode();
    setNonblocking(STDIN, false);
  };
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
    process.once(signal, () => {
      restore();
      process.exit(128 + { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }[signal]);
    });
  }
  return restore;
}

async function copyInput(link: ConsoleLink, interactive: boolean, signal: AbortSignal): Promise<void> {
  const reader = Bun.stdin.stream().getReader();
  signal.addEventListener("abort", () => void reader.cancel());
  for (;;) {
    const { value, done } = await reader.read();
    if (done || signal.aborted) return;
    const leave = interactive ? value.indexOf(LEAVE) : -1;
    link.send(leave === -1 ? value : value.subarray(0, leave));
    if (leave !== -1) return link.leave();
  }
}
