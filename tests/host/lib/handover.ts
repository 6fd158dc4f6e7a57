/** A look at what a new program is given: a shell in its place writes it down before it becomes the program. */
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type CprState, decodeCprState } from "@vmm/cpr";
import { type OpenFd, openFdsOf } from "./proc.ts";
import { type TestVm, until } from "./vm.ts";

export interface Handover {
  readonly pid: number;
  /** All that is open in the new program, before it has opened anything. */
  readonly fds: readonly OpenFd[];
  readonly environment: readonly string[];
  /** The number that the variable gives. */
  readonly stateFd: number;
  readonly state: CprState;
}

/**
 * Lets the shell write down its pid, then wait until it may go on. The file comes with its name when the shell has
 * closed all that a redirection opens.
 */
const SCRIPT = `echo $$ > DIR/new; mv DIR/new DIR/pid; until [ -e DIR/go ]; do sleep 0.01; done; exec "$@"`;

/**
 * A new command that stops as soon as it runs, for `look`, and then goes on.
 *
 * @param variable The one that names the CPR state's fd: the command may be run twice, the first time to be asked.
 */
export class Inspection {
  readonly command: readonly string[];
  readonly #folder: string;

  constructor(vm: TestVm, command: readonly string[]) {
    this.#folder = mkdtempSync(join(vm.runtime, "look-"));
    this.command = ["/bin/sh", "-c", SCRIPT.replaceAll("DIR", this.#folder), "sh", ...command];
  }

  /** Waits for the program, and looks at it. It waits until `goOn`. */
  async look(variable: string): Promise<Handover> {
    const file = join(this.#folder, "pid");
    await until("the new program runs", () => existsSync(file));
    const pid = Number(readFileSync(file, "utf8"));
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").slice(0, -1).sort();
    const number = environment.find((entry) => entry.startsWith(`${variable}=`))?.split("=")[1] ?? "none";
    // the shell's own sleep is another process: nothing here is the shell's
    const fds = openFdsOf(pid);
    const state = decodeCprState(readFileSync(`/proc/${pid}/fd/${number}`));
    return { pid, fds, environment, stateFd: Number(number), state };
  }

  goOn(): void {
    Bun.spawnSync(["touch", join(this.#folder, "go")]);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What is at an fd of another process. */
export const linkOf = (pid: number, fd: number): string => readlinkSync(`/proc/${pid}/fd/${fd}`);
