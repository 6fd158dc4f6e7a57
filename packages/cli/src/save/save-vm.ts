/** Saving a VM to a file, by cpr-reboot. */
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { CliError, reasonOf } from "../cli-error.ts";
import { connectQmp } from "../vm/connect.ts";
import type { VmFolder } from "../vm/find-vms.ts";

export interface SaveOptions {
  /** An absolute path. */
  readonly path: string;
  /** Whether RAM in a shared file of its own stays there. */
  readonly inPlace: boolean;
  /** What becomes of the VM. */
  readonly then: "quit" | "stay" | "cont";
}

export interface SaveReport {
  readonly name: string;
  readonly path: string;
  /** Bytes of RAM that are in the file: pages of zeros are not. */
  readonly ram_bytes: number;
  readonly state_bytes: number;
  /** How long the guest stood still until all was saved. */
  readonly ms: number;
}

interface MigrationInfo {
  readonly status: string;
  readonly "total-time"?: number;
  readonly "x-state-bytes"?: number;
  readonly ram?: { readonly transferred: number };
  readonly "error-desc"?: string;
}

const POLL_MS = 10;

async function awaitEnd(qmp: QmpClient): Promise<MigrationInfo> {
  for (;;) {
    const info = (await qmp.execute("query-migrate")) as MigrationInfo;
    if (["completed", "failed", "cancelled"].includes(info.status)) return info;
    await Bun.sleep(POLL_MS);
  }
}

interface Capability {
  readonly capability: string;
  readonly state: boolean;
}

/** Begins the save. @returns What puts the VM's parameters and capabilities back; where it throws that is done. */
async function begin(qmp: QmpClient, { path, inPlace }: SaveOptions): Promise<() => Promise<void>> {
  const { mode } = (await qmp.execute("query-migrate-parameters")) as { mode: string };
  const before = (await qmp.execute("query-migrate-capabilities")) as readonly Capability[];
  const capabilities = before.filter(({ capability }) => capability === "x-ignore-shared");
  const putBack = async () => {
    await qmp.execute("migrate-set-capabilities", { capabilities });
    await qmp.execute("migrate-set-parameters", { mode });
  };
  try {
    const inFile = capabilities.map((old) => ({ ...old, state: inPlace }));
    await qmp.execute("migrate-set-capabilities", { capabilities: inFile });
    await qmp.execute("migrate-set-parameters", { mode: "cpr-reboot" });
    const addr = { transport: "file", filename: path, offset: 0 };
    await qmp.execute("migrate", { channels: [{ "channel-type": "main", addr }] });
  } catch (error) {
    // what went wrong first is what the user has to hear
    await putBack().catch(() => {});
    throw error;
  }
  return putBack;
}

/** @throws CliError where the VM cannot be saved: it runs on then, and there is no file. */
export async function saveVm(vm: VmFolder, options: SaveOptions): Promise<SaveReport> {
  const qmp = await connectQmp(vm);
  try {
    const putBack = await begin(qmp, options);
    const info = await awaitEnd(qmp);
    await putBack();
    if (info.status !== "completed")
      throw new Error(`${info["error-desc"] ?? info.status}; the guest runs on`);
    if (options.then !== "stay") await qmp.execute(options.then);
    const state = info["x-state-bytes"] ?? 0;
    const ram = (info.ram?.transferred ?? state) - state;
    const ms = info["total-time"] ?? 0;
    return { name: vm.name, path: options.path, ram_bytes: ram, state_bytes: state, ms };
  } catch (error) {
    throw new CliError(`VM "${vm.name}" cannot be saved: ${reasonOf(error)}`);
  } finally {
    qmp.close();
  }
}
