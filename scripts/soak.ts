/** Updates in a row under one running guest: `bun run soak -- --updates N`. */
import { checkReportPath, writeSoakReport } from "@vmm/cli/report";
import { atFirstSignal } from "../bench/lib/at-exit.ts";
import { runBenchmark } from "../bench/lib/options.ts";
import { HAS_KVM } from "../tests/host/lib/vm.ts";
import { runSoak, type SoakOptions } from "./soak/run-soak.ts";
import { soakReport, soakText } from "./soak/tell.ts";

const about = {
  command: "soak",
  about: "Updates a VM again and again, and looks whether its guest, its memory or its fds show it.",
  specs: {
    updates: { kind: "number", help: "how many", default: 100 },
    modes: { kind: "text", help: "in turn", default: "cpr-exec,cpr-transfer" },
    memory: { kind: "text", help: "the guest's RAM", default: "64M" },
    cpus: { kind: "number", help: "vCPUs", default: 1 },
    "preflight-every": { kind: "number", help: "ask the new command first so often", default: 10 },
    "no-observer": { kind: "flag", help: "do not watch the guest from outside" },
    report: { kind: "text", help: "write a page about it to this file" },
    json: { kind: "flag", help: "print JSON" },
  },
} as const;

const MODES = ["cpr-exec", "cpr-transfer"];

function modesOf(text: string): string[] {
  const modes = text.split(",");
  const unknown = modes.find((mode) => !MODES.includes(mode));
  if (unknown !== undefined) throw new Error(`--modes ${unknown}: there are ${MODES.join(", ")}`);
  return modes;
}

/** One line that is written anew, where somebody looks at it. */
function progress(updates: number): SoakOptions["progress"] {
  if (!process.stderr.isTTY) return undefined;
  return (done, failures) => {
    const failed = failures > 0 ? `, ${failures} failed` : "";
    process.stderr.write(`\r${done} of ${updates}${failed}${done === updates ? "\n" : ""}`);
  };
}

await runBenchmark(about, async (values) => {
  if (!HAS_KVM) throw new Error("/dev/kvm cannot be used here");
  if (values.report !== undefined) checkReportPath(values.report);
  const hear = progress(values.updates);
  let status = 0;
  atFirstSignal((given) => {
    status = given;
  });
  const options: SoakOptions = {
    updates: values.updates,
    modes: modesOf(values.modes),
    memory: values.memory,
    cpus: values.cpus,
    preflightEvery: values["preflight-every"],
    observe: !values["no-observer"],
    isEnded: () => status !== 0,
    ...(hear && { progress: hear }),
  };
  const result = await runSoak(options);
  if (result.failures.length > 0 || result.growth.some(({ grown }) => grown)) process.exitCode = 1;
  process.exitCode ||= status;
  if (values.report !== undefined) writeSoakReport(values.report, soakReport(options, result));
  return values.json ? { options, ...result } : soakText(result);
});
