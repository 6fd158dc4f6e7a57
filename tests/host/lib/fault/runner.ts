/**
 * Runs rows of the fault matrix, one after the other on one VM. After each, the guest must run with its RAM as it was,
 * nothing may be left, and a healthy update must work: that one also arms the next row's fault.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CPR_PREFLIGHT_ENV } from "@vmm/cpr";
import { atExitUntilDisposed } from "../../../../bench/lib/at-exit.ts";
import { ConsoleClient, tickProblems } from "../console.ts";
import { environmentOf } from "../proc.ts";
import { differences, settledSnapshot } from "../snapshot.ts";
import { type MigrationInfo, type UpdateResult, update } from "../update.ts";
import { TestVm, until } from "../vm.ts";
import {
  type Expectation,
  type FaultRow,
  type Outcome,
  type RowContext,
  type RowResult,
  withFault,
} from "./row.ts";

const DEVICE_PLUGIN = join(import.meta.dir, "device.ts");
const COMMANDS = "fault-commands";
/** For a tick line to come from the guest to the console's client (ms). */
const TICK_MS = 5000;
const WELL_MS = 5000;

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

export interface FaultRunnerOptions {
  /** Whether the VM has the fault device. It runs from the sources then, and is slower. */
  readonly device?: boolean;
  readonly cpus?: number;
  /** Whether the guest rests between its counts, so that several VMs get on beside each other. */
  readonly rests?: boolean;
}

export class FaultRunner implements AsyncDisposable {
  readonly #options: FaultRunnerOptions;
  #vm: TestVm | undefined;
  /** Who ends the program by a signal is not to look for its VM. */
  #atExit: Disposable | undefined;
  /** Connected all along: what the guest says must come once, in order, whoever runs it. */
  #console: ConsoleClient | undefined;
  #startMs = 0;
  #secret = 0;
  /** The command line that started the VM. */
  #command: readonly string[] = [];
  #pid = 0;
  /** The fault that the VMM has in its environment. */
  #armed: string | undefined;

  constructor(options: FaultRunnerOptions = {}) {
    this.#options = options;
  }

  /** @param next The row that follows, to save it an update of its own. */
  async run(row: FaultRow, next?: FaultRow): Promise<RowResult> {
    const { group, what } = row;
    const started = performance.now();
    const problems: string[] = [];
    let result: UpdateResult | undefined;
    if (row.skip !== undefined) {
      return {
        group,
        what,
        verdict: "skipped",
        outcome: "",
        reason: "",
        newPid: false,
        ms: 0,
        problems: [row.skip],
      };
    }
    try {
      const vm = await this.#prepare(row.source);
      result = await this.#fail(vm, row, problems);
      const { ticks } = vm.heartbeat();
      await this.#heal(vm, next?.source);
      await this.#hearTicks(ticks);
    } catch (error) {
      // the guest is lost, or cannot be updated any more: the next row gets a new one
      problems.push(reasonOf(error), ...(await this.#lastWords()));
      await this[Symbol.asyncDispose]();
    }
    return {
      group,
      what,
      verdict: problems.length === 0 ? "held" : "broken",
      outcome: result?.status ?? "",
      reason: result?.reason ?? "",
      newPid: result !== undefined && result.pidAfter !== result.pidBefore,
      ms: performance.now() - started,
      problems,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const [vm, client] = [this.#vm, this.#console];
    [this.#vm, this.#console] = [undefined, undefined];
    this.#armed = undefined;
    await client?.[Symbol.asyncDispose]();
    await vm?.[Symbol.asyncDispose]();
    this.#atExit?.[Symbol.dispose]();
  }

  /** A VM whose VMM has the fault that the row wants. */
  async #prepare(source: string | undefined): Promise<TestVm> {
    const vm = this.#vm ?? (await this.#start());
    if (source !== this.#armed) await this.#heal(vm, source);
    return vm;
  }

  async #start(): Promise<TestVm> {
    const { device = false, cpus = 1, rests = false } = this.#options;
    const args = ["--plugin", DEVICE_PLUGIN, "--device", `fault,id=fault0,commands=${COMMANDS}`];
    const vm = await TestVm.start({ cpus, ...(device && { args, files: { [COMMANDS]: "" } }) });
    this.#vm = vm;
    this.#atExit = atExitUntilDisposed(() => vm.abandon());
    if (rests) vm.ram.rest();
    this.#secret = vm.heartbeat().secret;
    this.#command = await vm.command();
    this.#pid = await vm.pid();
    mkdirSync(join(vm.runtime, "row"));
    // the first update is the one that opens what all later processes have
    await this.#update(vm, undefined);
    this.#console = new ConsoleClient(vm);
    await this.#hearTicks(0);
    return vm;
  }

  /** The guest must have printed a line since the one of that number, and none twice or not at all. */
  async #hearTicks(number: number): Promise<void> {
    const client = this.#console as ConsoleClient;
    const heard = () => client.ticks().some((tick) => tick.number >= number);
    await until(`the console shows tick ${number}`, heard, TICK_MS);
    const problems = tickProblems(client.ticks());
    if (problems.length > 0) throw new Error(`on the console: ${problems.slice(0, 3).join("; ")}`);
  }

  /** The update that fails, and what must be the same before and after it. */
  async #fail(vm: TestVm, row: FaultRow, problems: string[]): Promise<UpdateResult> {
    const folder = join(vm.runtime, "row");
    const context: RowContext = {
      vm,
      command: this.#command,
      folder,
      pid: this.#pid,
      startMs: this.#startMs,
    };
    const commands = join(vm.paths.folder, COMMANDS);
    if (row.paused) await vm.execute("stop");
    const since = vm.heartbeat();
    const before = await settledSnapshot(vm, this.#pid);
    if (row.device) writeFileSync(commands, row.device.join("\n"));
    const request = row.request?.(context) ?? {};
    const result = await update(vm, request);
    if (row.device) writeFileSync(commands, "");
    this.#pid = result.pidAfter;
    this.#armed = undefined;
    problems.push(...judge(row, result));
    if (row.paused) problems.push(...(await this.#goOn(vm, since.counts)));
    await vm.isWell(this.#secret, WELL_MS, since);
    request.cleanUp?.();
    problems.push(...(await differences(vm, result.pidAfter, before, row.settleMs)));
    problems.push(...readdirSync(folder).map((file) => `left over (files): ${file}`));
    problems.push(...(await variablesOf(vm, folder)));
    return result;
  }

  /** A guest that was paused must have stood still all along. */
  async #goOn(vm: TestVm, counts: readonly number[]): Promise<string[]> {
    const problems: string[] = [];
    const { status } = (await vm.execute("query-status")) as { status: string };
    if (status !== "paused") problems.push(`the guest was paused and is ${status}`);
    if (!Bun.deepEquals(vm.heartbeat().counts, counts)) problems.push("the paused guest has run");
    await vm.execute("cont");
    return problems;
  }

  /** A healthy update must work, and the new process must find nothing in its environment but an fd's number. */
  async #heal(vm: TestVm, arm: string | undefined): Promise<void> {
    await this.#update(vm, arm);
    await vm.isWell(this.#secret);
    this.#armed = arm;
    for (const [name, value] of environmentOf(this.#pid)) {
      const ours = /^VMM_(?!IMAGE$)/.test(name);
      const fine =
        name === "VMM_CPR_EXEC_STATE" ? /^\d+$/.test(value) : name === "VMM_FAULT" && value === arm;
      if (ours && !fine) throw new Error(`left over (environment): ${name}=${value}`);
    }
  }

  async #update(vm: TestVm, arm: string | undefined): Promise<void> {
    const command = arm === undefined ? this.#command : withFault(arm, this.#command);
    const { status, reason, pidBefore, pidAfter, info } = await update(vm, { command });
    if (status !== "completed") throw new Error(`a healthy update ${status}: ${reason}`);
    if (pidBefore !== pidAfter) throw new Error("a healthy update changed the pid");
    this.#pid = pidAfter;
    this.#startMs = startMsOf(info);
  }

  async #lastWords(): Promise<string[]> {
    try {
      const log = await Bun.file(this.#vm?.paths.log ?? "").text();
      return log.trimEnd().split("\n").slice(-2);
    } catch {
      return [];
    }
  }
}

/** What a child of the VMM is given beyond what it has to have: a program that is asked writes it down. */
async function variablesOf(vm: TestVm, folder: string): Promise<string[]> {
  const file = join(folder, "variables");
  const command = ["/bin/sh", "-c", `env > ${file}`];
  await vm.execute("migrate-set-parameters", { mode: "cpr-exec", "cpr-exec-command": command });
  await vm.execute("x-cpr-preflight");
  const names = readFileSync(file, "utf8").match(/^VMM_\w+/gm) ?? [];
  rmSync(file);
  const more = names.filter((name) => name !== CPR_PREFLIGHT_ENV && name !== "VMM_IMAGE");
  return more.map((name) => `left over (environment): ${name}`);
}

/** From the exec until the guest was the new VMM's (ms). */
function startMsOf({ "x-phases": phases = [] }: MigrationInfo): number {
  const exec = phases.findIndex(({ name }) => name === "exec");
  return phases.slice(exec).reduce((sum, phase) => sum + phase["duration-ns"], 0) / 1e6;
}

function judge({ expect }: FaultRow, { status, reason, pidBefore, pidAfter }: UpdateResult): string[] {
  const problems: string[] = [];
  const outcomes = outcomesOf(expect);
  if (!outcomes.includes(status as Outcome))
    problems.push(`it ${status} (${reason}); expected: ${outcomes.join(" or ")}`);
  else if (expect.outcome !== "completed" && status !== "completed") {
    const wanted = expect.reason;
    const told = typeof wanted === "string" ? reason.includes(wanted) : wanted.test(reason);
    if (!told) problems.push(`the reason is "${reason}"; expected: ${wanted}`);
  }
  const { pid = "same" } = expect;
  // where the fault need not strike, the row knows only what is if it does
  const mayMiss = outcomes.length > 1 && status === "completed";
  if (!mayMiss && (pid === "same") !== (pidBefore === pidAfter))
    problems.push(`pid ${pidBefore} became ${pidAfter}; expected: ${pid}`);
  return problems;
}

function outcomesOf({ outcome }: Expectation): readonly Outcome[] {
  return typeof outcome === "string" ? [outcome] : [...outcome.perhaps, "completed"];
}
