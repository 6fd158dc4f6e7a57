/**
 * A VM that was told to end just as its guest went to another process: that one has to hear of it. It has the VM's QMP
 * socket by then, whoever has started it.
 */
import { reasonOf } from "@vmm/cpr";

/** The new process may not have looked at its clients yet (ms). */
const TIMEOUT_MS = 10_000;

async function quit(socket: string): Promise<void> {
  const { QmpClient } = await import("../qmp/client.ts");
  const qmp = await QmpClient.connect(socket, { timeoutMs: TIMEOUT_MS });
  const timer = setTimeout(() => qmp.close(), TIMEOUT_MS);
  try {
    await qmp.execute("quit");
  } finally {
    clearTimeout(timer);
    qmp.close();
  }
}

/** @param socket The VM's QMP socket. This process must not serve it any more. */
export async function passEndOn(socket: string): Promise<void> {
  try {
    await quit(socket);
  } catch (error) {
    console.error(`vmm: the VM was told to end, and its new process could not be told: ${reasonOf(error)}`);
  }
}
