import { CPR_PREFLIGHT_ENV, CPR_STATE_ENV, CPR_TRANSFER_ENV } from "@vmm/cpr/environment";
import {
  checkRuntimeRoot,
  checkVmName,
  claimFolder,
  DEFAULT_NAME,
  formatSize,
  isClaimed,
  makeConfig,
  makeRuntimeRoot,
  pathsOf,
  readConfig,
  runtimeRoot,
  type VmConfig,
  type VmPaths,
  writeConfig,
} from "@vmm/vmm/config/index.ts";
import { resolveImage } from "@vmm/vmm/image/index.ts";
import { reasonOf, UsageError } from "../cli-error.ts";
import { command } from "../command/command.ts";
import { EXIT } from "../exit-code.ts";
import { print, printError, printJson } from "../print.ts";
import { launch, type Place, type ReadyReport } from "../start/launch.ts";
import { allOptions, checkIncoming, START_OPTIONS, type StartValues } from "../start/start-options.ts";

export default command({
  name: "start",
  summary: "Start a VM. Returns when its guest runs.",
  description:
    "The VM lives on by itself until its guest powers off or `vmm quit` ends it. Its sockets, configuration and log are in " +
    "$XDG_RUNTIME_DIR/vmm/NAME, or /run/vmm/NAME for root.",
  options: START_OPTIONS,
  examples: [
    ["start --guest heartbeat", "Start the built-in guest, which prints ticks; see them with vmm console"],
    [
      "start --kernel bzImage --initrd initrd.img --cmdline console=ttyS0",
      "Start a Linux, with its console on the serial port",
    ],
    ["start --config web.json --name web-2 --memory 2G", "Options from a file, and two that override it"],
  ],
  async run({ options }) {
    const { name, paths, makeVmConfig, incoming } = await prepare(options);
    if (isLiveUpdate()) return continueUpdate(paths, incoming, options);
    if (options.incoming?.startsWith("cpr:")) return startSuccessor(name, paths, incoming, options);
    const config = makeVmConfig();
    makeRuntimeRoot();
    const claim = claimFolder(paths, name);
    let argv: string[];
    try {
      writeConfig(paths.config, config);
      argv = [...(await imageFor(config.plugins)), "--config", paths.config, ...incoming];
    } catch (error) {
      claim.release();
      throw error;
    }
    if (options.foreground) (await import("../start/foreground.ts")).becomeVm(argv, claim);
    report(config, launch(argv, claim), { json: options.json, waits: options.incoming === "defer" });
    return EXIT.ok;
  },
});

/** A process that waits for the guest of a VM that runs. The folder, and what the VM is, stay as they are. */
async function startSuccessor(
  name: string,
  paths: VmPaths,
  incoming: readonly string[],
  { foreground, json }: StartValues,
): Promise<number> {
  if (!isClaimed(paths)) {
    throw new UsageError(`--incoming cpr:PATH waits for the guest of VM "${name}", and no such VM runs`);
  }
  const config = readConfig(paths.config);
  const argv = [...(await imageFor(config.plugins)), "--config", paths.config, ...incoming];
  const place: Place = { paths, release: () => {} };
  if (foreground) (await import("../start/foreground.ts")).becomeVm(argv, place);
  const { pid } = launch(argv, place);
  const path = (incoming[1] as string).slice("cpr:".length);
  if (json) printJson({ name, pid, successor: path });
  else print(`Process ${pid} waits for VM "${name}": vmm migrate --cpr-transfer --successor ${path} ${name}`);
  return EXIT.ok;
}

/** Everything that can be checked before anything is made. */
async function prepare(values: StartValues) {
  const options = await allOptions(values);
  const name = checkVmName(options.name ?? DEFAULT_NAME);
  const root = runtimeRoot();
  const paths = pathsOf(name, root);
  // what is already there is read below, before it is made where it is missing
  checkRuntimeRoot(root);
  if (options.serial?.backend === "stdio" && !values.foreground) {
    throw new UsageError("--serial stdio needs --foreground: in the background there is no terminal");
  }
  const incoming = values.incoming === undefined ? [] : ["--incoming", checkIncoming(values.incoming)];
  return { name, paths, incoming, makeVmConfig: () => makeConfig(options, { name, folder: paths.folder }) };
}

/** Whether a VMM runs this command as its successor, or to ask whether it could be that. */
function isLiveUpdate(): boolean {
  const variables = [CPR_STATE_ENV, CPR_PREFLIGHT_ENV, CPR_TRANSFER_ENV];
  return variables.some((name) => process.env[name] !== undefined);
}

/** The VM is there already: a live update runs this command, and its configuration is the one it has. */
async function continueUpdate(
  paths: VmPaths,
  incoming: readonly string[],
  options: StartValues,
): Promise<never> {
  if (!options.foreground) throw new UsageError("a live update runs this command: it needs --foreground");
  if (options.incoming?.startsWith("cpr:"))
    throw new UsageError(
      "a live update runs this command: it has its guest, and waits at no --incoming cpr:PATH",
    );
  const { passUpdateOn } = await import("../start/pass-update-on.ts");
  try {
    const argv = await imageFor(readConfig(paths.config).plugins);
    return passUpdateOn([...argv, "--config", paths.config, ...incoming]);
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
}

async function imageFor(plugins: readonly string[]): Promise<readonly string[]> {
  return (await resolveImage({ source: plugins.length > 0 })).argv;
}

function report(
  config: VmConfig,
  ready: ReadyReport,
  { json, waits }: { json: boolean; waits: boolean },
): void {
  const { name, folder, cpus, memory } = config;
  if (!json) for (const warning of ready.warnings ?? []) printError(`warning: ${warning}`);
  if (json) {
    printJson({ name, ...ready, cpus, memory: memory.size, folder });
    return;
  }
  if (waits) {
    print(`VM "${name}" waits for its guest: vmm qmp ${name} migrate-incoming uri=file:PATH`);
    return;
  }
  const vcpus = cpus === 1 ? "1 vCPU" : `${cpus} vCPUs`;
  const next: readonly (readonly [string, string])[] = [
    [`vmm console ${name}`, "its console (Ctrl-] leaves it)"],
    [`vmm status ${name}`, "how it is"],
    [`vmm migrate --cpr-exec ${name}`, "replace its VMM while the guest runs"],
    [`vmm quit ${name}`, "end it"],
  ];
  const width = Math.max(...next.map(([line]) => line.length));
  print(
    `VM "${name}" runs: pid ${ready.pid}, ${ready.accel}, ${vcpus}, ${formatSize(memory.size)} of RAM.`,
    "",
    ...next.map(([line, meaning]) => `  ${line.padEnd(width)}   ${meaning}`),
  );
}
