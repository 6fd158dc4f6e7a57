import { absolutePath } from "@vmm/vmm/config/index.ts";
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { CliError, reasonOf, UsageError } from "../cli-error.ts";
import { command } from "../command/command.ts";
import { EXIT } from "../exit-code.ts";
import { newCommand } from "../migrate/command.ts";
import { type PreflightReport, preflightLines } from "../migrate/preflight.ts";
import { successLines } from "../migrate/report.ts";
import { setCommand, type UpdateMode, updateVm } from "../migrate/update-vm.ts";
import { print, printJson } from "../print.ts";
import type { UpdateRecorder } from "../report/record-update.ts";
import { withQmp } from "../vm/connect.ts";
import type { VmFolder } from "../vm/find-vms.ts";
import { JSON_OPTION, NAME_ARGUMENT, NAME_OPTION, vmOf } from "../vm/name-options.ts";

const DEFAULT_TIMEOUT_S = 60;

export default command({
  name: "migrate",
  summary: "Replace a VM's VMM while its guest runs.",
  description:
    "cpr-exec: the VM's process executes the new command and keeps its pid, its fds and the guest's RAM; the guest stands " +
    "still for some ms. The new command is first asked, while the guest runs, whether it can load the live state. " +
    "cpr-transfer: another process takes over, which was started and has built all it can before the guest stops: the " +
    "shortest pause, but another pid. " +
    "Whatever fails, the guest runs on under the old VMM, and the exit status is 1.",
  args: [NAME_ARGUMENT],
  rest: {
    name: "COMMAND",
    summary: "The new VMM's command line (default: the one that started the VM, found anew on disk)",
    variadic: true,
    complete: "command",
  },
  options: {
    name: NAME_OPTION,
    "cpr-exec": { summary: "Replace the process by exec (the default)" },
    "cpr-transfer": { summary: "Hand the guest over to another process" },
    successor: {
      value: "PATH",
      summary: "With --cpr-transfer: the socket of one that was started with --incoming cpr:PATH",
      complete: "file",
    },
    "preflight-only": { summary: "Only ask the new command whether it could take over" },
    "no-preflight": { summary: "Do not ask it first" },
    report: {
      value: "FILE.html",
      summary: "Write a page about the update: its time line, its phases, the guest's heartbeat",
      complete: "file",
    },
    timeout: {
      value: "SECONDS",
      summary: `Stop waiting after so long, and asking the new command (default: ${DEFAULT_TIMEOUT_S})`,
    },
    json: JSON_OPTION,
  },
  examples: [
    ["migrate --cpr-exec web", "After an upgrade of vmm: the guest goes on under the new version"],
    ["migrate --cpr-exec --report web.html web", "The same, with a page that shows where the time went"],
    ["migrate --cpr-transfer web", "The same, to a new process, with a shorter pause"],
    ["migrate --preflight-only web", "Whether that would work; nothing happens to the guest"],
    [
      "migrate --cpr-exec web -- ./wrapper --name web",
      "A command of your own, which ends in vmm start --foreground",
    ],
  ],
  async run(input) {
    const { options, rest } = input;
    const timeoutMs = secondsOf(options.timeout) * 1000;
    if (options["preflight-only"] && options["no-preflight"]) {
      throw new UsageError("--preflight-only and --no-preflight exclude each other");
    }
    if (options["preflight-only"] && options.report !== undefined) {
      throw new UsageError("--report is about an update, and --preflight-only makes none");
    }
    if (options["preflight-only"] && options.successor !== undefined) {
      throw new UsageError("--preflight-only asks a new command, and a --successor runs already");
    }
    const mode = modeOf(options);
    const vm = vmOf(input);
    const newVmm = await newCommand(vm, rest);
    if (options["preflight-only"]) {
      const report = await withQmp(vm, (qmp) => askPreflight(qmp, newVmm, mode));
      if (options.json) printJson(report);
      else print(...preflightLines(report));
      return report.ok ? EXIT.ok : EXIT.failed;
    }
    const say = options.json ? () => {} : (line: string) => print(line);
    using recorder = await recorderFor(vm, options.report);
    const report = await updateVm(vm, {
      mode,
      successor: options.successor && absolutePath(options.successor, process.cwd()),
      command: newVmm,
      preflight: !options["no-preflight"],
      timeoutMs,
      say,
      onStatus: (status) => recorder?.status(status),
    });
    await recorder?.finish(report, newVmm);
    if (options.json) printJson(report);
    if (report.status !== "completed") {
      throw new CliError(
        `the update ${report.status}: ${report.error ?? "no reason was given"}; the guest runs on`,
      );
    }
    if (!options.json) print(...successLines(report));
    return EXIT.ok;
  },
});

interface ModeOptions {
  readonly "cpr-exec": boolean;
  readonly "cpr-transfer": boolean;
  readonly successor: string | undefined;
}

function modeOf({ "cpr-exec": exec, "cpr-transfer": transfer, successor }: ModeOptions): UpdateMode {
  if (exec && transfer) throw new UsageError("--cpr-exec and --cpr-transfer exclude each other");
  if (successor !== undefined && !transfer) throw new UsageError("--successor goes with --cpr-transfer");
  return transfer ? "cpr-transfer" : "cpr-exec";
}

async function recorderFor(vm: VmFolder, path: string | undefined): Promise<UpdateRecorder | undefined> {
  if (path === undefined) return undefined;
  const { UpdateRecorder } = await import("../report/record-update.ts");
  return UpdateRecorder.start(vm, path);
}

function secondsOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TIMEOUT_S;
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= 86_400) return seconds;
  throw new UsageError(`--timeout: "${text}" is not a number of seconds up to a day`);
}

async function askPreflight(
  qmp: QmpClient,
  newVmm: readonly string[],
  mode: UpdateMode,
): Promise<PreflightReport> {
  try {
    return await keepingParameters(qmp, async () => {
      await setCommand(qmp, newVmm, mode);
      return (await qmp.execute("x-cpr-preflight")) as PreflightReport;
    });
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`the new command cannot be asked: ${reasonOf(error)}`);
  }
}

/** Whoever only asks changes nothing of what a later update would run. */
async function keepingParameters<T>(qmp: QmpClient, work: () => Promise<T>): Promise<T> {
  const before = (await qmp.execute("query-migrate-parameters")) as Readonly<Record<string, unknown>>;
  const { mode, "cpr-exec-command": command = [] } = before;
  try {
    return await work();
  } finally {
    await qmp.execute("migrate-set-parameters", { mode, "cpr-exec-command": command });
  }
}
