/**
 * All that people and tools talk to: consoles, migration, signals, QMP. Imported once the guest runs, so none of it is on
 * the way to the first KVM_RUN.
 */
import { Migration } from "@vmm/cpr";
import { vmPaths } from "../config/runtime-folder.ts";
import type { Machine } from "../machine/machine.ts";
import { MachineCprHost } from "../migration/machine-cpr-host.ts";
import type { QmpServer } from "../qmp/index.ts";
import { Reactor } from "../reactor/index.ts";
import type { Arrival } from "./arrival.ts";
import { Chardevs } from "./chardevs.ts";
import { qmpListener } from "./control-sockets.ts";
import { endOnSignals } from "./end-signals.ts";
import { endWaitingGuest, takeInDeferred } from "./incoming-deferred.ts";
import { MachineQmpHost } from "./machine-qmp-host.ts";
import { ProcessEnd } from "./process-end.ts";
import { selfCommand } from "./self-command.ts";

/** The terminal of this process is not another one's. */
function blockTransfer({ config }: Machine, migration: Migration): void {
  for (const { id } of config.chardevs.filter(({ backend }) => backend === "stdio")) {
    const help = "use mode cpr-exec, or start the VM with --serial console";
    migration.blockers.add(["cpr-transfer"], `chardev ${id} is on this process's stdio: ${help}.`);
  }
}

/**
 * Starts it all.
 *
 * @param words The arguments with which this process is started again.
 * @param arrival How this process came to the guest.
 * @param ready Called when the VM is whole but for QMP, whose clients can connect by then.
 */
export async function startControl(
  machine: Machine,
  words: readonly string[],
  { guest, deferred, takesOver = false }: Arrival,
  ready: () => void,
): Promise<void> {
  // a client that makes a handler fail must not end the guest
  const reactor = new Reactor({ onError: (error) => console.error("vmm:", error) });
  const incoming = (guest ?? deferred) !== undefined;
  const opened = new Chardevs({ machine, reactor, incoming }, takesOver && !deferred);
  const chardevs = opened.all;
  machine.onChardev = () => {
    for (const chardev of chardevs) chardev.doorbell();
  };
  if (!deferred) opened.start(takesOver);
  let server: QmpServer | undefined;
  const ids = (guest ?? deferred?.exec)?.ids;
  const host = new MachineCprHost({
    machine,
    ...(ids && { ids }),
    command: [...selfCommand(), ...words],
    chardevs,
  });
  const migration = new Migration({
    host,
    keeperCommand: [...selfCommand(), "keeper"],
    ...(guest && { incoming: guest.outcome(), settled: guest.settled }),
    ...(deferred && { takeIn: takeInDeferred(machine, deferred, opened) }),
  });
  blockTransfer(machine, migration);
  for (const { modeNotifier } of machine.host.devices) {
    if (modeNotifier) migration.notifiers.add(modeNotifier);
  }
  const closeControl = async () => server?.close();
  const settle = () => migration.close();
  const { exec } = deferred ?? {};
  const endWaiting = exec && (() => endWaitingGuest(exec, machine));
  const ending = new ProcessEnd({
    machine,
    chardevs,
    settle,
    closeControl,
    ...(endWaiting && { endWaiting }),
  });
  machine.onEnd = (end) => ending.begin(end);
  host.onHandedOver = () => machine.onEnd({ reason: "handed-over", status: 0 });
  endOnSignals(machine);
  ready();
  // a schema library comes with it: clients that have connected wait for it, the guest does not
  const qmp = await import("../qmp/index.ts");
  const listener = qmpListener(vmPaths(machine.config.folder).qmp, machine.fds);
  server = new qmp.QmpServer({
    listener,
    reactor,
    host: new MachineQmpHost({
      ...{ machine, migration, chardevs },
      ...(deferred && { incoming: (args) => migration.incoming(args) }),
    }),
  });
}
