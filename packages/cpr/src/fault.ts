/**
 * Fault switches, for tests: a live update that fails at a point of their choice, in a real process.
 *
 * `VMM_FAULT=POINT:WAY` makes this process fail when it passes the point, `POINT#N:WAY` when it does so for the N-th
 * time. The variable is taken out of the environment at once, and a fault strikes once: neither the program that comes
 * next nor the old command that comes back ever sees it.
 *
 * Ways: `throw` an error; `exit` with status 3; `kill`, by SIGKILL; `crash`, by SIGSEGV; `hang` for ever.
 */
import { kill, SIGKILL, SIGSEGV, usleep } from "@vmm/libc";

const FAULT_ENV = "VMM_FAULT";
const SYNTAX = /^([a-z-]+)(?:#(\d+))?:(throw|exit|kill|crash|hang)$/;
const EXIT_STATUS = 3;
const HANG_US = 1_000_000;

interface Fault {
  readonly point: string;
  readonly way: string;
  /** How often the point is still to be passed, with the time that strikes. */
  left: number;
}

let fault = take();

function take(): Fault | undefined {
  const text = process.env[FAULT_ENV];
  if (text === undefined) return undefined;
  delete process.env[FAULT_ENV];
  const [, point, nth = "1", way] = SYNTAX.exec(text) ?? [];
  if (point === undefined || way === undefined) throw new Error(`${FAULT_ENV}=${text}: not POINT[#N]:WAY`);
  return { point, way, left: Number(nth) };
}

/** Fails here if this is the point that `VMM_FAULT` names. Costs a comparison where it names none. */
export function faultPoint(point: string): void {
  if (fault !== undefined && fault.point === point) strike(fault);
}

function strike(struck: Fault): void {
  struck.left--;
  if (struck.left > 0) return;
  fault = undefined;
  const { point, way } = struck;
  if (way === "exit") process.exit(EXIT_STATUS);
  if (way === "kill") kill(process.pid, SIGKILL);
  if (way === "crash") kill(process.pid, SIGSEGV);
  while (way === "hang") usleep(HANG_US);
  throw new Error(`fault at ${point}`);
}
