import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { LabError } from "./errors.ts";

/** The box around a command. */
export interface LabOptions {
  /** RAM of the box, in QEMU's spelling: `3G`, `512M`. */
  memory: string;
  /** vCPUs of the box, 1 to 8. */
  cpus: number;
  /** Seconds from the start of the box to its end, whatever happens. */
  timeoutSeconds: number;
  /** Seconds without a sign of life from the box, after which it is dead. */
  standstillSeconds: number;
  /** Variables for the command, beyond the few that the box sets itself. */
  env: Record<string, string>;
  /** Hugepages to set aside at boot, as SIZE:COUNT, with sizes 2M and 1G: `2M:64`. */
  hugepages: string[];
  /** Paths under /tmp, /run or /dev/shm of the machine that are to be seen inside, where those are empty. */
  expose: string[];
}

export const DEFAULT_LAB_OPTIONS: Readonly<LabOptions> = {
  memory: "3G",
  cpus: 2,
  timeoutSeconds: 600,
  // a program with a real-time priority may take all but a twentieth of a processor
  standstillSeconds: 60,
  env: {},
  hugepages: [],
  expose: [],
};

/** What the kernel's configuration allows. */
const MAX_CPUS = 8;
const MAX_TIMEOUT_SECONDS = 24 * 3600;

function reject(message: string): never {
  throw new LabError("usage", message);
}

/** Completes and checks the options; a bad one is told in one line. */
export function labOptions(given: Partial<LabOptions>): LabOptions {
  const options = { ...DEFAULT_LAB_OPTIONS, ...given };
  if (!/^[1-9]\d{0,5}[MG]$/.test(options.memory))
    reject(`memory ${options.memory}: give a size like 3G or 512M`);
  if (!Number.isInteger(options.cpus) || options.cpus < 1 || options.cpus > MAX_CPUS) {
    reject(`cpus ${options.cpus}: give a whole number from 1 to ${MAX_CPUS}`);
  }
  checkSeconds("timeout", options.timeoutSeconds);
  checkSeconds("standstill", options.standstillSeconds);
  for (const name of Object.keys(options.env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) reject(`env ${name}: not a name of a variable`);
  }
  for (const pool of options.hugepages) {
    if (!/^(2M|1G):[1-9]\d{0,5}$/.test(pool))
      reject(`hugepages ${pool}: give SIZE:COUNT, like 2M:64 or 1G:2`);
  }
  return { ...options, expose: options.expose.map(exposable) };
}

function checkSeconds(name: string, seconds: number): void {
  if (!(seconds > 0 && seconds <= MAX_TIMEOUT_SECONDS))
    reject(`${name} ${seconds}: give seconds, up to ${MAX_TIMEOUT_SECONDS}`);
}

function exposable(path: string): string {
  if (!existsSync(path)) reject(`expose ${path}: no such file`);
  return resolve(path);
}
