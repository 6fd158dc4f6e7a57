/**
 * The toy machine as a program: takes commands as JSON lines on stdin, answers with JSON lines on stdout, and is updated
 * like a VMM. `--fault NAME` makes it fail at that point of its start.
 */
import { readdirSync, readFileSync } from "node:fs";
import {
  fdPath,
  isCloexec,
  isNonblocking,
  kill,
  openFds,
  POLLIN,
  poll,
  read,
  SIGKILL,
  SIGSEGV,
  writeAll,
} from "@vmm/libc";
import { beginIncoming, Migration, preflightRequest } from "../src/index.ts";
import { ToyHost } from "./toy-host.ts";

const fault = process.argv.includes("--fault")
  ? process.argv[process.argv.indexOf("--fault") + 1]
  : undefined;
const KEEPER = new URL("../src/keeper/main.ts", import.meta.url).pathname;
const FOR_EVER_MS = 1e9;

/** Fails in the way that the fault's name says, where it is of this point: `POINT-WAY`. */
function failAt(point: string): void {
  if (!fault?.startsWith(`${point}-`)) return;
  switch (fault.slice(point.length + 1)) {
    case "exit":
      process.exit(3);
      break;
    case "segv":
      kill(process.pid, SIGSEGV);
      break;
    case "kill":
      kill(process.pid, SIGKILL);
      break;
    case "hang":
      poll(-1, 0, FOR_EVER_MS);
      break;
    default:
      throw new Error(`fault at ${point}`);
  }
}

function answerPreflight(): void {
  const request = preflightRequest(process.env);
  if (!request) return;
  failAt("preflight");
  if (fault === "preflight:nonsense") {
    writeAll(
      request.fds.findFd("cpr:preflight-report") as number,
      Buffer.from('{"ok": true, "blocks": "none"}'),
    );
    process.exit(0);
  }
  const blocks = fault === "preflight:block" ? [{ what: "toy0", reason: "version 9 is too new" }] : [];
  const names = request.load().records.map(({ name }) => name);
  if (names.join() !== "toy0") blocks.push({ what: "records", reason: names.join() });
  request.answer({ version: "toy 1", blocks, warnings: [] });
  process.exit(0);
}

failAt("start");
answerPreflight();
const incoming = beginIncoming(process.env);
if (incoming) failAt("begin");
const command = [process.execPath, ...process.argv.slice(1)];
const host = new ToyHost(command, incoming?.fds, incoming?.ids);
try {
  if (incoming) {
    failAt("load");
    host.load(incoming.load().records);
    failAt("commit");
    if (incoming.load().header.running) {
      incoming.commit();
      host.run();
    }
    failAt("run");
  } else {
    host.run();
  }
} catch (error) {
  if (!incoming) throw error;
  incoming.fallback(error);
}
const released = incoming?.afterRun();
const outcome = incoming?.outcome();
const migration = new Migration({
  host,
  keeperCommand: [process.execPath, KEEPER],
  ...(outcome && { incoming: outcome }),
});

/** The children of all threads. */
function childPids(): string[] {
  return readdirSync("/proc/self/task")
    .flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, "utf8").trim().split(" "))
    .filter((pid) => pid !== "");
}

const COMMANDS: Record<string, (args: never) => unknown> = {
  info: () => ({
    ...migration.info(),
    pid: process.pid,
    count: host.count,
    secret: host.secret,
    clashes: host.clashes,
    generation: host.device.generation,
    runState: host.runState(),
    argv: process.argv.slice(2),
  }),
  events: () => host.events.splice(0),
  set: (args) => migration.setParameters(args),
  break: (calls: string[]) => {
    host.broken.clear();
    for (const call of calls) host.broken.add(call);
  },
  stop: () => host.pause(),
  cont: () => host.run(),
  private: () => {
    host.shared = false;
  },
  capabilities: (args) => migration.setCapabilities(args),
  migrate: (args) => migration.migrate(args),
  preflight: () => migration.preflight(),
  cancel: () => migration.cancel(),
  continue: (status) => migration.continue(status),
  finished: async () => {
    await released;
    await migration.finished;
  },
  resources: async () => {
    await released;
    return {
      fds: openFds().map((fd) => ({ fd, path: fdPath(fd), cloexec: isCloexec(fd) })),
      table: host.fds.entries(),
      ids: host.ids.entries(),
      nonblocking: [0, 1, 2].filter(isNonblocking),
      children: childPids(),
      environment: Object.keys(process.env).filter((name) => name.startsWith("VMM_")),
    };
  },
  /** Every child, the keeper among them. */
  children: () =>
    childPids().map((pid) => ({
      pid: Number(pid),
      command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "),
    })),
  quit: () => process.exit(0),
};

async function serve(line: string): Promise<void> {
  const { id, name, args } = JSON.parse(line);
  let answer: object;
  try {
    answer = { id, result: (await COMMANDS[name]?.(args as never)) ?? null };
  } catch (error) {
    answer = { id, error: (error as Error).message };
  }
  writeAll(1, Buffer.from(`${JSON.stringify(answer)}\n`));
}

let input = "";
const chunk = new Uint8Array(new ArrayBuffer(65536));
setInterval(() => {
  if (poll(0, POLLIN, 0) === 0) return;
  const length = read(0, chunk);
  if (length === 0) process.exit(0);
  input += new TextDecoder().decode(chunk.subarray(0, length));
  for (let end = input.indexOf("\n"); end >= 0; end = input.indexOf("\n")) {
    const line = input.slice(0, end);
    input = input.slice(end + 1);
    void serve(line);
  }
}, 2);
