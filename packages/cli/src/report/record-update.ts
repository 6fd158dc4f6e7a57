/** Recording an update for its report: what was before it, what is seen of it from outside, and how it went. */
import { monotonicNs } from "@vmm/libc";
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import type { MigrationInfo } from "../migrate/follow.ts";
import type { UpdateReport } from "../migrate/report.ts";
import { queryQmp } from "../vm/connect.ts";
import { configOf, type VmFolder } from "../vm/find-vms.ts";
import { processOf } from "../vm/process-of.ts";
import type { HeartbeatSample, ReportPhase, UpdateReportData, VmFacts } from "./data.ts";
import { hostFacts } from "./host-facts.ts";
import { HeartbeatWatch, heartbeatRam } from "./watch-heartbeat.ts";
import { checkReportPath, writeReport } from "./write-report.ts";

interface Timed {
  readonly "start-ns": number;
  readonly "duration-ns": number;
}

const times = ({ "start-ns": start, "duration-ns": duration }: Timed) => ({
  startMs: start / 1e6,
  durationMs: duration / 1e6,
});

async function versionOf(qmp: QmpClient): Promise<string> {
  const { package: name } = (await qmp.execute("query-version")) as { package: string };
  return name.replace(/^vmm /, "");
}

export class UpdateRecorder {
  readonly #vm: VmFolder;
  readonly #path: string;
  readonly #before: { readonly version: string; readonly vm: VmFacts };
  readonly #watch: HeartbeatWatch | undefined;
  readonly #seen: { what: string; atMs: number }[] = [];

  private constructor(
    vm: VmFolder,
    path: string,
    before: { version: string; vm: VmFacts },
    watch: HeartbeatWatch | undefined,
  ) {
    this.#vm = vm;
    this.#path = path;
    this.#before = before;
    this.#watch = watch;
  }

  /**
   * To be called before the update begins.
   *
   * @param path Where the report is to be written.
   * @throws UsageError where it cannot be.
   */
  static async start(vm: VmFolder, path: string): Promise<UpdateRecorder> {
    checkReportPath(path);
    const config = configOf(vm);
    const { version, pid } = await queryQmp(vm, async (qmp) => ({
      version: await versionOf(qmp),
      pid: await processOf(qmp),
    }));
    const { name, cpus, memory, accel } = config;
    const ram = heartbeatRam(config, pid);
    return new UpdateRecorder(
      vm,
      path,
      { version, vm: { name, cpus, memory: memory.size, accel: accel.join(" or ") } },
      ram === undefined ? undefined : new HeartbeatWatch(ram),
    );
  }

  /** A status of the migration was seen. */
  status(what: string): void {
    this.#seen.push({ what, atMs: monotonicNs() / 1e6 });
  }

  /** Ends the watch, however the update went. */
  [Symbol.dispose](): void {
    this.#watch?.stop();
  }

  /**
   * Writes the report.
   *
   * @param report How the update went.
   * @param command The new VMM's command line.
   * @throws CliError where it cannot be written.
   */
  async finish(report: UpdateReport, command: readonly string[]): Promise<void> {
    const samples = this.#watch?.stop() ?? [];
    const { info, version } = await queryQmp(this.#vm, async (qmp) => ({
      info: (await qmp.execute("query-migrate")) as MigrationInfo,
      version: await versionOf(qmp),
    }));
    writeReport(this.#path, this.#data(report, info, { samples, version, command }));
  }

  #data(
    report: UpdateReport,
    info: MigrationInfo,
    after: { samples: readonly HeartbeatSample[]; version: string; command: readonly string[] },
  ): UpdateReportData {
    const beganMs = (info["x-start-ns"] ?? monotonicNs()) / 1e6;
    const sinceBegin = <T extends { readonly atMs: number }>(one: T): T => ({
      ...one,
      atMs: one.atMs - beganMs,
    });
    const phases = (info["x-phases"] ?? []).map(
      (phase): ReportPhase => ({ name: phase.name, ...times(phase) }),
    );
    const standstills = info["x-standstills"]?.map(times);
    const last = phases.at(-1);
    return {
      vm: this.#before.vm,
      host: hostFacts(),
      mode: report.mode,
      status: report.status,
      ...(report.error !== undefined && { error: report.error }),
      startedAt: Date.now() - (monotonicNs() / 1e6 - beganMs),
      ...(last && { totalMs: last.startMs + last.durationMs }),
      ...(report.blackout_ms !== undefined && { blackoutMs: report.blackout_ms }),
      ...(standstills && { standstills }),
      ...(report.pid_before !== undefined && { pidBefore: report.pid_before }),
      ...(report.pid_after !== undefined && { pidAfter: report.pid_after }),
      versionBefore: this.#before.version,
      versionAfter: after.version,
      command: after.command,
      ...(report.state_bytes !== undefined && { stateBytes: report.state_bytes }),
      phases,
      seen: this.#seen.map(sinceBegin),
      ...(after.samples.length > 0 && { heartbeat: after.samples.map(sinceBegin) }),
    };
  }
}
