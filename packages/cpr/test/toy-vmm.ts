/**
 * The toy machine as a program: takes commands as JSON lines on stdin, answers with JSON lines on stdout, and is updated
 * like a VMM. `--fault NAME` makes it fail at that point of its start.
 */
import { readdirSync, readFileSync } from "node:fs";
import {
  close,
  fdPath,
  getcwd,
  getrlimit,
  getUmask,
  isCloexec,
  isNonblocking,
  kill,
  openFds,
  POLLIN,
  poll,
  read,
  SIGKILL,
  SIGSEGV,
  socketpair,
  writeAll,
} from "@vmm/libc";
import {
  beginIncoming,
  FileIncoming,
  type Incoming,
  type IncomingGuest,
  Migration,
  preflightRequest,
  RLIMIT_NAMES,
  TransferIncoming,
  TransferListener,
  transferSocket,
} from "../src/index.ts";
import { ToyHost } from "./toy-host.ts";

/** The word behind an option. */
function option(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

const fault = option("--fault");
const from = option("--incoming");
const KEEPER = new URL("../src/keeper/main.ts", import.meta.url).pathname;
const FOR_EVER_MS = 1e9;
/** Time for answers that are due once the guest is another process's. */
const END_MS = 20;

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

const command = [process.execPath, ...process.argv.slice(1)];
const makeHost = (guest?: IncomingGuest) => new ToyHost(command, guest?.fds, guest?.ids, option("--ram"));

/** Waits for a source and has all ready for its state. */
function awaitTransfer(): { guest: TransferIncoming; host: ToyHost } | undefined {
  const path = from?.startsWith("cpr:") ? from.slice(4) : undefined;
  const socket = transferSocket(process.env) ?? (path && new TransferListener(path).accept(() => {}));
  if (!socket) return undefined;
  failAt("begin");
  const guest = TransferIncoming.begin(socket, () => {});
  try {
    const host = makeHost(guest);
    failAt("build");
    const names = guest.preview().records.map(({ name }) => name);
    const blocks = fault === "report:block" ? [{ what: "toy0", reason: "version 9 is too new" }] : [];
    if (names.join() !== "toy0") blocks.push({ what: "records", reason: names.join() });
    guest.ready({ ok: blocks.length === 0, version: "toy 1", blocks, warnings: [] });
    failAt("ready");
    guest.awaitState();
    return { guest, host };
  } catch (error) {
    return guest.fallback(error);
  }
}

/** Goes on with a guest. */
function takeOver(guest: IncomingGuest, host: ToyHost): void {
  failAt("load");
  const { header, records } = guest.load();
  host.load(records);
  guest.loadRam?.(host.ramBlocks());
  failAt("commit");
  if (header.running) {
    guest.commit();
    failAt("committed");
    host.run();
  } else host.pause("paused");
  failAt("run");
}

function start(): { host: ToyHost; guest?: IncomingGuest | undefined; exec?: Incoming | undefined } {
  const exec = beginIncoming(process.env);
  if (exec) failAt("begin");
  let guest: IncomingGuest | undefined = exec;
  try {
    const transfer = awaitTransfer();
    if (from?.startsWith("file:")) {
      if (exec) exec.loadFrom({ type: "file", path: from.slice(5), offset: 0 });
      else guest = new FileIncoming(from.slice(5));
    }
    guest = transfer?.guest ?? guest;
    const host = transfer?.host ?? makeHost(guest);
    if (from === "defer") host.awaitGuest();
    else if (guest) takeOver(guest, host);
    else host.run();
    return from === "defer" ? { host, exec } : { host, guest };
  } catch (error) {
    return giveUp(guest, error);
  }
}

function giveUp(guest: IncomingGuest | undefined, error: unknown): never {
  try {
    return guest ? guest.fallback(error) : fail(error);
  } catch (reason) {
    return fail(reason);
  }
}

function fail(error: unknown): never {
  console.error(`toy: ${(error as Error).message}`);
  process.exit(4);
}

failAt("start");
answerPreflight();
const { host, guest, exec } = start();
const released = guest?.afterRun();
const outcome = guest?.outcome();
const migration = new Migration({
  host,
  keeperCommand: [process.execPath, KEEPER],
  ...(outcome && { incoming: outcome }),
  ...(from === "defer" && {
    takeIn: {
      ...(exec && { exec }),
      fds: host.fds,
      async take(guest) {
        takeOver(guest, host);
        await guest.afterRun();
      },
      exit: (error) => giveUp(exec, error),
    },
  }),
});
let deaf = false;
host.onHandedOver = () => {
  deaf = true;
  setTimeout(() => process.exit(0), END_MS);
};

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
  stop: () => host.pause("paused"),
  /** Fills a page of RAM that the guest does not use. */
  fill: ({ page, value }: { page: number; value: number }) => {
    host.ram.fill(value, page * 1024, (page + 1) * 1024);
  },
  page: (page: number) => [...new Set(host.ram.slice(page * 1024, (page + 1) * 1024))],
  cont: () => host.run(),
  private: () => {
    host.shared = false;
  },
  capabilities: (args) => migration.setCapabilities(args),
  migrate: (args) => migration.migrate(args),
  /** Migrates, and once more at the very moment at which that has failed. */
  migrateAgain: async (args) => {
    const again = Promise.withResolvers<void>();
    host.onStatus = (status) => {
      if (status !== "failed") return;
      host.onStatus = () => {};
      setTimeout(() => void migration.migrate(args).then(again.resolve, again.reject), 0);
    };
    await migration.migrate(args);
    await again.promise;
  },
  incoming: (args) => migration.incoming(args),
  preflight: () => migration.preflight(),
  cancel: () => migration.cancel(),
  close: () => migration.close(),
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
  surroundings: () => ({
    variables: { ...process.env },
    folder: getcwd(),
    umask: getUmask(),
    limits: RLIMIT_NAMES.map((name) => ({ name, ...getrlimit(name) })),
  }),
  /** Every child, the keeper among them. */
  children: () =>
    childPids().map((pid) => ({
      pid: Number(pid),
      command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "),
    })),
  /** Starts a program with this one's stdio. */
  spawn: (words: string[]) => Bun.spawn(words, { stdio: ["inherit", "inherit", "inherit"] }).pid,
  /** Saves one end of a new socket pair under a name; says which socket it is. */
  "save-fd": (name: string) => {
    const [fd, other] = socketpair();
    close(other);
    host.fds.saveFd(name, 0, fd);
    return fdPath(fd);
  },
  "drop-fd": (name: string) => {
    const fd = host.fds.findFd(name) as number;
    const path = fdPath(fd);
    host.fds.deleteFd(name);
    close(fd);
    return path;
  },
  /** What each fd of the table is. */
  identities: () => Object.fromEntries(host.fds.entries().map(({ name, fd }) => [name, fdPath(fd)])),
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
  if (deaf || poll(0, POLLIN, 0) === 0) return;
  const length = read(0, chunk);
  if (length === 0) process.exit(0);
  input += new TextDecoder().decode(chunk.subarray(0, length));
  for (let end = input.indexOf("\n"); end >= 0; end = input.indexOf("\n")) {
    const line = input.slice(0, end);
    input = input.slice(end + 1);
    void serve(line);
  }
}, 2);
