/** Faults of the process that is updated, from the first step to execve: all is taken back, and the guest runs on in it. */
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openFdsOf, settingsOf } from "../proc.ts";
import type { UpdateRequest } from "../update.ts";
import { diskFullSkip, smallDisk } from "./disk.ts";
import { type FaultRow, type RowContext, seriesOf } from "./row.ts";

/** Each is one point of the update, in the order in which they are passed. */
const STEPS: readonly (readonly [point: string, what: string])[] = [
  ["setup", "the setup, at its begin"],
  ["old-program", "keeping the old program open"],
  ["start-keeper", "starting the keeper"],
  ["arm-keeper", "arming the keeper"],
  ["teardown-helper", "starting the teardown helper"],
  ["start-agent", "starting the agents"],
  ["watch-runners", "telling the keeper of the agents"],
  ["give-vcpu", "giving the vCPUs to agents"],
  ["stop", "after the vCPUs and devices stopped"],
  ["save", "after the irqfds were detached"],
  ["encode", "encoding the state"],
  ["write-state", "writing the state"],
  ["done", "when the state is saved"],
  ["stdio", "making stdio blocking again"],
  ["hand-over", "handing the fds to the keeper"],
  ["exec", "right before execve"],
];

interface Repeated {
  readonly group: string;
  readonly point: string;
  /** The passes of an update of one vCPU with nobody connected; else there are more. */
  readonly least: number;
  /** The passes of these that the preflight makes: it refuses the update then. */
  readonly preflight?: number;
}

/** Points that are passed several times: each time is a row of its own. */
const REPEATED: readonly Repeated[] = [
  { group: "memfd creation", point: "memfd", least: 7, preflight: 3 },
  { group: "sealing a memfd", point: "seal", least: 4, preflight: 2 },
  { group: "fd operation", point: "fd", least: 12 },
  { group: "save of a record", point: "save-record", least: 17 },
];
const MOST_PASSES = 150;

const failed = (reason: string) => ({ outcome: "failed", reason }) as const;

function stepRows(): FaultRow[] {
  return STEPS.map(([point, what]) => ({
    group: "before exec",
    what,
    source: `${point}:throw`,
    expect: failed(`fault at ${point}`),
  }));
}

function repeatedRows(): FaultRow[] {
  return REPEATED.flatMap(({ group, point, least, preflight = 0 }) =>
    seriesOf(
      {
        name: point,
        least,
        most: MOST_PASSES,
        outcome: (pass) => (pass <= preflight ? "refused" : "failed"),
        reason: `fault at ${point}`,
      },
      (pass) => ({
        group,
        source: `${point}#${pass}:throw`,
        request: () => ({ preflight: preflight > 0 }),
      }),
    ),
  );
}

/** A command that the checks let pass and that execve refuses. */
function execRow(errno: string, what: string, command: (context: RowContext) => readonly string[]): FaultRow {
  return {
    group: "execve",
    what: `${errno}: ${what}`,
    request: (context) => ({
      command: command(context),
      cleanUp: () => rmSync(scriptPath(context), { force: true }),
    }),
    expect: { outcome: "failed", reason: errno },
  };
}

const scriptPath = ({ folder }: RowContext) => join(folder, "program");

function script(context: RowContext, text: string): string[] {
  const path = scriptPath(context);
  writeFileSync(path, text);
  chmodSync(path, 0o700);
  return [path];
}

/** More than the kernel takes in one word (MAX_ARG_STRLEN, linux/binfmts.h). */
const LONG_WORD = 200_000;

function execRows(): FaultRow[] {
  return [
    execRow("ENOENT", "a script whose interpreter is not there", (c) => script(c, "#!/no/such/program\n")),
    execRow("EACCES", "a script whose interpreter cannot be executed", (c) => script(c, "#!/etc/passwd\n")),
    execRow("ENOEXEC", "a file that is no program", (c) => script(c, "this is no program\n")),
    execRow("E2BIG", "a word that is too long", ({ command }) => [...command, "x".repeat(LONG_WORD)]),
  ];
}

function refusedRows(): FaultRow[] {
  const command = (what: string, words: readonly string[], reason: string, preflight = false): FaultRow => ({
    group: "refused beforehand",
    what,
    request: () => ({ command: words, preflight, parameters: { "x-cpr-preflight-timeout": 300 } }),
    expect: { outcome: "refused", reason },
  });
  return [
    command("no such program", ["/no/such/program"], "there is no such file"),
    command("a folder as program", ["/etc"], "it is a directory"),
    command("a file that is not executable", ["/etc/passwd"], "it is not executable"),
    command("preflight: a program that is no VMM", ["/bin/true"], "it is not a VMM", true),
    command("preflight: it fails", ["/bin/false"], "ended with status 1", true),
    command("preflight: it hangs", ["/bin/sleep", "60"], "did not answer", true),
    command("preflight: it is killed", ["/bin/sh", "-c", "kill -9 $$"], "ended by SIGKILL", true),
  ];
}

/** Limits the VMM to so many fds more than it has, for real. */
function limitFds(pid: number, more: number): void {
  const highest = Math.max(...openFdsOf(pid).map(({ fd }) => fd));
  prlimit(pid, highest + 1 + more);
}

function fdLimitOf(pid: number): number {
  const line = settingsOf(pid).find((setting) => setting.startsWith("Max open files"));
  return Number(line?.split(" ")[3]);
}

function prlimit(pid: number, soft: number): void {
  const { exitCode, stderr } = Bun.spawnSync(["prlimit", "--pid", String(pid), `--nofile=${soft}:`]);
  if (exitCode !== 0) throw new Error(`prlimit: ${stderr}`);
}

const PRLIMIT = Bun.which("prlimit");
const MOST_FDS = 14;

/** So many more are too few for any update. */
const TOO_FEW_FDS = 5;

function limitRows(): FaultRow[] {
  return Array.from({ length: MOST_FDS }, (_, more): FaultRow => {
    const preflight = more % 2 === 0;
    const outcome = preflight ? "refused" : "failed";
    return {
      group: "too many open files",
      what: `room for ${more} more fds`,
      request: ({ command, pid: limited }): UpdateRequest => {
        const plenty = fdLimitOf(limited);
        return {
          // the new VMM is not to suffer from what is done to the old one
          command: [PRLIMIT as string, `--nofile=${plenty}:`, ...command],
          preflight,
          before: (pid) => limitFds(pid, more),
          cleanUp: () => prlimit(limited, plenty),
        };
      },
      expect: {
        outcome: more <= TOO_FEW_FDS ? outcome : { perhaps: ["refused", "failed"] },
        reason: /EMFILE/,
      },
      long: ![1, 2, 5].includes(more),
      ...(!PRLIMIT && { skip: "prlimit is not installed" }),
    };
  });
}

function fileRows(): FaultRow[] {
  const skip = diskFullSkip();
  return [
    {
      group: "the uri file",
      what: "its disk is full",
      request: ({ folder }) => {
        const disk = smallDisk(join(folder, "disk"));
        return { uri: `file:${disk.path}/state`, cleanUp: disk.unmount };
      },
      expect: { outcome: "failed", reason: "ENOSPC" },
      ...(skip !== undefined && { skip }),
    },
    {
      group: "the uri file",
      what: "its folder does not exist",
      request: ({ folder }) => ({ uri: `file:${folder}/none/state` }),
      expect: { outcome: "refused", reason: "there is no folder" },
    },
  ];
}

export const beforeExecRows = (): FaultRow[] => [
  ...refusedRows(),
  ...stepRows(),
  ...repeatedRows(),
  ...limitRows(),
  ...execRows(),
  ...fileRows(),
];
