/**
 * All that people and tools talk to: consoles, migration, signals, QMP. Imported once the guest runs, so none of it is on
 * the way to the first KVM_RUN.
 */
import { type Incoming, Migration } from "@vmm/cpr";
import { unblockProcessSignals } from "../accel/kvm/index.ts";
import { type Chardev, type CharRing, openChardev } from "../chardev/index.ts";
import type { Machine } from "../machine/machine.ts";
import { MachineCprHost } from "../migration/machine-cpr-host.ts";
import { Reactor } from "../reactor/index.ts";
import { endProcess } from "./end-process.ts";
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
 */
export async function startControl(
  machine: Machine,
  words: readonly string[],
  incoming: Incoming | undefined,
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
  machine.onEnd = (end) =>
    void endProcess(
      { machine, chardevs, closeControl: () => Promise.resolve(), handedOver: () => host.handedOver },
      end,
    );
  endOnSignals(machine);
  void migration;
}
