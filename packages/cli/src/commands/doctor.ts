import { command } from "../command/command.ts";
import { WIDTH, wrap } from "../command/text.ts";
import type { Check } from "../doctor/check.ts";
import { EXIT } from "../exit-code.ts";
import { print, printJson } from "../print.ts";
import { JSON_OPTION } from "../vm/name-options.ts";

export default command({
  name: "doctor",
  summary: "Say what this host can do, and what to do about what is missing.",
  description: "The exit status is 1 where something is missing that no VM can run without.",
  options: { json: JSON_OPTION },
  examples: [
    ["doctor", "Look at this host"],
    ["doctor --json", "The same for a program"],
  ],
  async run({ options }) {
    const checks = await allChecks();
    const canRun = !checks.some(({ required, state }) => required && state !== "ok");
    if (options.json) printJson({ canRun, checks });
    else print(...report(checks), "", verdict(canRun));
    return canRun ? EXIT.ok : EXIT.failed;
  },
});

async function allChecks(): Promise<Check[]> {
  const [kvm, memory, device, software] = await Promise.all([
    import("../doctor/kvm-checks.ts"),
    import("../doctor/memory-checks.ts"),
    import("../doctor/device-checks.ts"),
    import("../doctor/software-checks.ts"),
  ]);
  return [
    ...kvm.kvmChecks(),
    ...memory.memoryChecks(),
    ...device.deviceChecks(),
    ...(await software.softwareChecks()),
  ];
}

const STATE_WIDTH = 9;
const NAME_WIDTH = 16;

function report(checks: readonly Check[]): string[] {
  const indent = " ".repeat(STATE_WIDTH + NAME_WIDTH);
  return checks.flatMap(({ name, state, detail, help }) => {
    const [first, ...more] = wrap(detail, WIDTH - indent.length);
    const advice = help
      ? wrap(help, WIDTH - indent.length - 2).map((line, i) => (i === 0 ? `> ${line}` : `  ${line}`))
      : [];
    return [
      `${state.padEnd(STATE_WIDTH)}${name.padEnd(NAME_WIDTH)}${first ?? ""}`,
      ...[...more, ...advice].map((line) => indent + line),
    ];
  });
}

function verdict(canRun: boolean): string {
  return canRun ? "VMs can run here." : "No VM can run here until what is required is there.";
}
