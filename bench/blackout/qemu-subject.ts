/** QEMU's microvm with the same guest, updated by its cpr-exec (QEMU 10.2 and later). */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { heartbeatElf } from "../../packages/vmm/test/guest-files.ts";
import { findFd } from "../lib/proc.ts";
import { endProcess, killAtExit, ROOT, Workspace } from "../lib/vmm.ts";
import { connectQmp, updateByQmp } from "./qmp-update.ts";
import type { Subject, SubjectKind, SubjectOptions } from "./subject.ts";

/** The first version with cpr-exec. */
const FIRST = [10, 2] as const;
/** What `bench/get-qemu` fetched. */
const FETCHED = join(ROOT, "node_modules/.cache/vmm/qemu/command");
/** The guest powers off by a port that a microvm does not have: it never does. */
const PORTS = { pm1aControl: 0x604, powerOffValue: 0x2000 };

interface Qemu {
  readonly command: readonly string[];
  readonly version: string;
}

/** The command lines to try: one that the user names, the system's, the fetched one. */
function candidates(): string[][] {
  const named = process.env.VMM_BENCH_QEMU;
  const fetched = existsSync(FETCHED) ? [readFileSync(FETCHED, "utf8").trim().split("\n")] : [];
  return [...(named ? [[named]] : []), ["qemu-system-x86_64"], ...fetched];
}

function versionOf(command: readonly string[]): string | undefined {
  try {
    const { stdout } = Bun.spawnSync([...command, "--version"]);
    return /^QEMU emulator version (\d+\.\d+\.\d+)/.exec(stdout.toString())?.[1];
  } catch {
    return undefined;
  }
}

function hasCprExec(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > FIRST[0] || (major === FIRST[0] && minor >= FIRST[1]);
}

/** @returns The first that has cpr-exec, or why there is none. */
function findQemu(): Qemu | string {
  const older: string[] = [];
  for (const command of candidates()) {
    const version = versionOf(command);
    if (version && hasCprExec(version)) return { command, version };
    if (version) older.push(version);
  }
  const what = older.length > 0 ? `QEMU ${older.join(", ")} lacks cpr-exec` : "there is no QEMU";
  return `${what} (${FIRST.join(".")} is the first with it); bench/get-qemu fetches a newer one`;
}

function machineArguments(workspace: Workspace, { memory, cpus, touch }: SubjectOptions): string[] {
  const backend = `memory-backend-memfd,id=ram0,size=${memory},share=on,prealloc=${touch ? "on" : "off"}`;
  return [
    ...["-accel", "kvm", "-cpu", "host", "-smp", `${cpus}`, "-m", memory, "-object", backend],
    ...["-machine", "microvm,memory-backend=ram0,aux-ram-share=on", "-bios", "qboot.rom"],
    ...["-no-user-config", "-nodefaults", "-display", "none", "-serial", "null"],
    ...["-kernel", workspace.path("heartbeat.elf")],
    ...["-qmp", `unix:${workspace.path("qmp.sock")},server=on,wait=off`],
  ];
}

async function startQemu({ command, version }: Qemu, options: SubjectOptions): Promise<Subject> {
  // its state goes through a file: memory is the quickest place for one
  const workspace = new Workspace(existsSync("/dev/shm") ? "/dev/shm" : undefined);
  await Bun.write(workspace.path("heartbeat.elf"), heartbeatElf(64, PORTS));
  const machine = [...command, ...machineArguments(workspace, options)];
  const log = Bun.file(workspace.path("log"));
  const child = Bun.spawn(machine, { stdin: "ignore", stdout: log, stderr: log });
  const socket = workspace.path("qmp.sock");
  const uri = `file:${workspace.path("state")}`;
  const kill = killAtExit(child);
  const close = async () => {
    await endProcess(child);
    kill();
    workspace[Symbol.dispose]();
  };
  try {
    (await connectQmp(socket)).close();
    const ram = findFd(child.pid, "/memfd:memory-backend-memfd");
    if (!ram) throw new Error("the guest's RAM was not found among QEMU's fds");
    return {
      name: `QEMU ${version}`,
      ram,
      cpus: options.cpus,
      async update(awaitPause) {
        await updateByQmp({ socket, uri, command: [...machine, "-incoming", uri] }, awaitPause);
        return {};
      },
      close,
    };
  } catch (error) {
    const said = await log.text();
    await close();
    throw new Error(`QEMU ${version}: ${error instanceof Error ? error.message : error} ${said.trim()}`);
  }
}

export function qemuKind(): SubjectKind {
  const found = findQemu();
  const isFound = typeof found !== "string";
  return {
    name: isFound ? `QEMU ${found.version}` : "QEMU",
    unavailable: () => (isFound ? undefined : found),
    start(options) {
      if (!isFound) throw new Error(found);
      return startQemu(found, options);
    },
  };
}
