/** The subcommands of `info`. */
import type { MigrationInfo } from "@vmm/cpr";
import { type HmpArguments, type HmpContext, HmpError, type InfoCommand } from "./hmp-command.ts";

function status({ host }: HmpContext): string {
  const state = host.runState();
  if (state === "running") return "VM status: running\n";
  return `VM status: paused${state === "paused" ? "" : ` (${state})`}\n`;
}

const msLine = (label: string, ms: number | undefined) => (ms === undefined ? [] : [`${label}: ${ms} ms`]);

function migrationLines(info: MigrationInfo): string[] {
  const reason = info["error-desc"] === undefined ? "" : ` (${info["error-desc"]})`;
  const { ram } = info;
  return [
    `Migration status: ${info.status}${reason}`,
    ...msLine("total time", info["total-time"]),
    ...msLine("downtime", info.downtime),
    ...msLine("setup", info["setup-time"]),
    ...(ram
      ? [
          `transferred: ${ram.transferred >> 10} kbytes`,
          `total ram: ${Math.floor(ram.total / 1024)} kbytes`,
          `page size: ${ram["page-size"] >> 10} kbytes`,
        ]
      : []),
    ...(info["x-phases"] ?? []).map(
      (phase) => `phase ${phase.name}: ${(phase["duration-ns"] / 1e6).toFixed(3)} ms`,
    ),
  ];
}

function migrate({ host }: HmpContext): string {
  const info = host.migration.info();
  const lines = [
    `mode: ${host.migration.parameters.mode}`,
    ...(info["blocked-reasons"] ?? []).map((reason) => `blocked: ${reason}`),
    ...(info.status === "none" ? [] : migrationLines(info)),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function registers({ host, cpu }: HmpContext, { options, word }: HmpArguments): string {
  const all = host.cpus().map(({ index }) => index);
  const text = (index: number) => `\nCPU#${index}\n${host.registersText(index).trimEnd()}\n`;
  if (options.has("a")) return all.map(text).join("");
  if (word === undefined) return text(cpu);
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(word)) {
    const bad = [...word].find((char) => !/\d/.test(char)) ?? word;
    throw new HmpError(`invalid char '${bad}' in expression`);
  }
  const index = Number(word);
  if (!all.includes(index)) throw new HmpError(`CPU#${index} not available`, false);
  return text(index);
}

export const INFO_COMMANDS: readonly InfoCommand[] = [
  {
    name: "migrate",
    params: "",
    help: "show migration status",
    options: "",
    word: false,
    run: migrate,
  },
  {
    name: "mtree",
    params: "",
    help: "show memory tree",
    options: "",
    word: false,
    run: ({ host }) => host.mtreeText(),
  },
  {
    name: "registers",
    params: "[-a|vcpu]",
    help: "show the cpu registers (-a: of all cpus; vcpu: of that one; else of the current one)",
    options: "a",
    word: true,
    run: registers,
  },
  {
    name: "status",
    params: "",
    help: "show the current VM status (running|paused)",
    options: "",
    word: false,
    run: status,
  },
];
