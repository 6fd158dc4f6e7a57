/** A guest that comes by `--incoming`, or to a successor that its source started. Not on the way of cpr-exec. */
import { FdTable, FileIncoming, type Incoming, parseUri, TransferListener, transferSocket } from "@vmm/cpr";
import { getpid } from "@vmm/libc";
import type { VmConfig } from "../config/vm-config.ts";
import type { Machine } from "../machine/machine.ts";
import { ramBlocksOf } from "../migration/ram-blocks.ts";
import { VmmError } from "../vmm-error.ts";
import type { Arrival } from "./arrival.ts";
import { goOnFromFile } from "./go-on-from-file.ts";
import { awaitTransfer, endOnPendingSignal } from "./incoming-transfer.ts";
import { tellReady } from "./ready.ts";
import { takeOver } from "./take-over.ts";

/**
 * How the guest comes.
 *
 * @param where The option `--incoming`; left out by a source that starts its successor.
 * @param exec What cpr-exec left to this process: all but, perhaps, the state.
 * @throws CprError, VmmError `config`
 */
export function receiveGuest(
  config: VmConfig,
  where: string | undefined,
  exec: Incoming | undefined,
): Arrival {
  const socket = transferSocket(process.env);
  if (socket !== undefined) return awaitTransfer(config, socket);
  if (where === "defer") return deferred(exec);
  const { main, cpr } = parseUri(where ?? "");
  if (cpr?.type === "unix") return awaitTransfer(config, listenFor(cpr.path, config));
  if (main?.type !== "file")
    throw new VmmError("config", `--incoming ${where}: not one of defer, file:PATH, cpr:PATH`);
  if (!exec) return fromFile(main.path, main.offset);
  exec.loadFrom(main);
  return { fds: exec.fds, guest: exec, takesOver: true, start: (build) => takeOver(exec, build) };
}

/** The connection of a source to a successor that was started by hand. */
function listenFor(path: string, config: VmConfig): number {
  const listener = new TransferListener(path);
  tellReady({ pid: getpid(), accel: config.accel[0] ?? "" });
  return listener.accept(endOnPendingSignal);
}

function fromFile(path: string, offset: number): Arrival {
  const fds = new FdTable();
  const guest = new FileIncoming(path, offset, fds);
  const start = (build: () => Machine) => {
    guest.phases.begin("build");
    const machine = build();
    machine.runState.set("inmigrate");
    guest.phases.begin("load RAM");
    guest.loadRam(ramBlocksOf(machine));
    goOnFromFile(guest, machine);
    return machine;
  };
  return { fds, guest, start };
}

/** The machine is there, without a guest. */
function deferred(exec: Incoming | undefined): Arrival {
  const start = (build: () => Machine) => {
    const machine = build();
    machine.runState.set("inmigrate");
    return machine;
  };
  if (!exec) return { fds: new FdTable(), start, deferred: {} };
  return { fds: exec.fds, takesOver: true, start, deferred: { exec } };
}
