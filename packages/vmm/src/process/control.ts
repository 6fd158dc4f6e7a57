/**
 * All that people and tools talk to: consoles, migration, signals, QMP. Imported once the guest runs, so none of it is on
 * the way to the first KVM_RUN.
 */
import { type Incoming, Migration } from "@vmm/cpr";
import { unblockProcessSignals } from "../accel/kvm/index.ts";
import { type Chardev, type CharRing, openChardev } from "../chardev/index.ts";
import { vmPaths } from "../config/runtime-folder.ts";
import type { Machine } from "../machine/machine.ts";
import { MachineCprHost } from "../migration/machine-cpr-host.ts";
import { Reactor } from "../reactor/index.ts";
import { qmpListener } from "./control-sockets.ts";
import { endProcess } from "./end-process.ts";
import { MachineQmpHost } from "./machine-qmp-host.ts";
import { selfCommand } from "./self-command.ts";

function openChardevs(machine: Machine, reactor: Reactor): Chardev[] {
  const { config, fds, host } = machine;
  return config.chardevs.map((chardev) =>
    openChardev(chardev, host.rings.get(chardev.id) as CharRing, {
      reactor,
      fds,
      lock: host.lock,
      folder: config.folder,
    }),
  );
}

/** SIGTERM, SIGINT and SIGHUP end the VM in order. */
function endOnSignals(machine: Machine): void {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => machine.end({ reason: "host-signal", status: 0 }));
  }
  unblockProcessSignals();
}

/**
 * Starts it all.
 *
 * @param words The arguments with which this process was started.
 * @param incoming The update by which this process came to the guest.
 * @param ready Called when the VM is whole but for QMP, whose clients can connect by then.
 */
export async function startControl(
  machine: Machine,
  words: readonly string[],
  incoming: Incoming | undefined,
  ready: () => void,
): Promise<void> {
  const reactor = new Reactor();
  const chardevs = openChardevs(machine, reactor);
  machine.onChardev = () => {
    for (const chardev of chardevs) chardev.doorbell();
  };
  for (const chardev of chardevs) chardev.start();
  const host = new MachineCprHost({
    machine,
    ...(incoming && { ids: incoming.ids }),
    command: [...selfCommand(), ...words],
    chardevs,
  });
  const migration = new Migration({
    host,
    keeperCommand: [...selfCommand(), "keeper"],
    ...(incoming && { incoming: incoming.outcome() }),
  });
  const closing: (() => Promise<void>)[] = [];
  const closeControl = async () => void (await Promise.all(closing.map((close) => close())));
  machine.onEnd = (end) =>
    void endProcess({ machine, chardevs, closeControl, handedOver: () => host.handedOver }, end);
  endOnSignals(machine);
  ready();
  // a schema library comes with it: clients that have connected wait for it, the guest does not
  const { QmpServer } = await import("../qmp/index.ts");
  const listener = qmpListener(vmPaths(machine.config.folder).qmp, machine.fds);
  const server = new QmpServer({
    listener,
    reactor,
    host: new MachineQmpHost({ machine, migration, chardevs }),
  });
  closing.push(() => server.close());
}
