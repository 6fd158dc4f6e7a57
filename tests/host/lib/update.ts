/** A live update over QMP, from the first word to its end, in whichever process that is. */
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { QmpError } from "@vmm/vmm/qmp/qmp-error.ts";
import { statusValue } from "./proc.ts";
import type { TestVm } from "./vm.ts";

export interface UpdateRequest {
  /** The new command line; the one that runs the VM, where left out. */
  readonly command?: readonly string[];
  /** Whether the new command is asked first. Not, where left out: that is what the update itself is tested by. */
  readonly preflight?: boolean;
  /** Further parameters of the migration. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly capabilities?: readonly string[];
  readonly uri?: string;
  readonly mode?: string;
  /** Called right before `migrate`, with the pid of the VMM. */
  readonly before?: (pid: number) => void;
  /** Called when the migration is under way. */
  readonly meanwhile?: (qmp: QmpClient, pid: number) => void | Promise<void>;
  /** Takes back what was done for this update. */
  readonly cleanUp?: () => void;
  /** For all of it; 20 s where left out. */
  readonly timeoutMs?: number;
}

/** What `query-migrate` says, as far as it is of use here. */
export interface MigrationInfo {
  readonly status?: string;
  readonly "error-desc"?: string;
  readonly "x-downtime-ns"?: number;
  readonly "x-state-bytes"?: number;
  readonly "total-time"?: number;
  readonly "x-phases"?: readonly { name: string; "start-ns": number; "duration-ns": number }[];
}

export interface UpdateResult {
  /** `refused`: `migrate` itself has failed. */
  readonly status: "completed" | "failed" | "cancelled" | "refused";
  /** Why it is not completed. */
  readonly reason: string;
  readonly pidBefore: number;
  readonly pidAfter: number;
  readonly info: MigrationInfo;
}

const POLL_MS = 3;
const TIMEOUT_MS = 20_000;
const OVER = ["completed", "failed", "cancelled"];
/** What an update before may have changed, as it is by default. */
const DEFAULTS = { "x-cpr-commit-timeout": 10_000, "x-cpr-preflight-timeout": 10_000 };
const CAPABILITIES = ["events", "pause-before-switchover"];

async function runnerOf(qmp: QmpClient): Promise<number> {
  const [cpu] = (await qmp.execute("query-cpus-fast")) as { "thread-id": number }[];
  return statusValue(cpu?.["thread-id"] ?? 0, "Tgid");
}

async function begin(qmp: QmpClient, pid: number, request: UpdateRequest): Promise<void> {
  const { command = [], parameters, capabilities = [], uri, preflight = false, mode = "cpr-exec" } = request;
  await qmp.execute("migrate-set-parameters", {
    mode,
    "cpr-exec-command": command,
    ...DEFAULTS,
    ...parameters,
  });
  await qmp.execute("migrate-set-capabilities", {
    capabilities: CAPABILITIES.map((capability) => ({
      capability,
      state: capabilities.includes(capability),
    })),
  });
  request.before?.(pid);
  await qmp.execute("migrate", { "x-preflight": preflight, ...(uri !== undefined && { uri }) });
}

/** Closes a connection that gives no answer in time: copies of its other end may outlive the VMM. */
async function within<T>(qmp: QmpClient, deadline: number, answer: Promise<T>): Promise<T> {
  const timer = setTimeout(() => qmp.close(), Math.max(0, deadline - performance.now()));
  try {
    return await answer;
  } finally {
    clearTimeout(timer);
  }
}

/** Asks until the migration is over; connects anew where the connection breaks, or is one to a source that ends. */
async function follow(vm: TestVm, first: QmpClient, source: number | undefined, deadline: number) {
  let qmp: QmpClient | undefined = first;
  for (;;) {
    try {
      qmp ??= await vm.qmp(Math.max(1, deadline - performance.now()));
      const info = (await within(qmp, deadline, qmp.execute("query-migrate"))) as MigrationInfo;
      if (OVER.includes(info.status ?? "")) {
        const pidAfter = await runnerOf(qmp);
        if (info.status !== "completed" || pidAfter !== source) return { qmp, info, pidAfter };
        qmp.close();
        qmp = undefined;
      }
    } catch (error) {
      qmp?.close();
      qmp = undefined;
      if (performance.now() > deadline) throw error;
    }
    if (performance.now() > deadline) throw new Error("the update is not over in time");
    await Bun.sleep(POLL_MS);
  }
}

/** Updates the VM and waits for the outcome, good or bad. */
export async function update(vm: TestVm, request: UpdateRequest = {}): Promise<UpdateResult> {
  const deadline = performance.now() + (request.timeoutMs ?? TIMEOUT_MS);
  let qmp = await vm.qmp();
  try {
    const pidBefore = await runnerOf(qmp);
    try {
      await begin(qmp, pidBefore, request);
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      const info = (await qmp.execute("query-migrate")) as MigrationInfo;
      return { status: "refused", reason: error.message, pidBefore, pidAfter: await runnerOf(qmp), info };
    }
    await request.meanwhile?.(qmp, pidBefore);
    const source = request.mode === "cpr-transfer" ? pidBefore : undefined;
    const { info, pidAfter, ...rest } = await follow(vm, qmp, source, deadline);
    qmp = rest.qmp;
    const status = info.status as UpdateResult["status"];
    return { status, reason: info["error-desc"] ?? "", pidBefore, pidAfter, info };
  } finally {
    qmp.close();
  }
}
