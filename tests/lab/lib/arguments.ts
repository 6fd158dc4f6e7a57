import { LAB_EXIT_STATUS, LabError } from "./errors.ts";
import { DEFAULT_LAB_OPTIONS, type LabOptions, labOptions } from "./options.ts";

/** What `bun run lab` was asked to do. */
export type LabInvocation = { help: true } | { help: false; argv: string[]; options: LabOptions };

export const LAB_HELP = `Runs a command of this checkout inside a VFIO-capable host in a box: QEMU in
software emulation boots a Linux with KVM, VFIO, IOMMUFD, an IOMMU and PCI
devices to pass through. Its root file system is this machine's own, read-only,
with an empty /tmp, /run and /dev/shm. The command starts in the checkout's root
with no stdin; its stdout, stderr and exit status come back as they are.

  bun run lab [OPTIONS] [--] COMMAND [ARGUMENTS...]

  --memory SIZE         RAM of the box (${DEFAULT_LAB_OPTIONS.memory})
  --cpus N              vCPUs of the box (${DEFAULT_LAB_OPTIONS.cpus})
  --timeout SECONDS     the box ends after this time, whatever happens (${DEFAULT_LAB_OPTIONS.timeoutSeconds})
  --standstill SECONDS  the box is dead if it shows no sign of life for so long
                        (${DEFAULT_LAB_OPTIONS.standstillSeconds})
  --env NAME=VALUE      a variable for the command
  --hugepages S:N       N hugepages of size S, 2M or 1G, set aside at boot
  --expose PATH         a file or folder under /tmp, /run or /dev/shm to be seen
                        inside
  --help

--env, --hugepages and --expose may be given again. VMM_LAB_KERNEL names the
kernel; without it, see tests/lab/build-kernel.

Exit status: the command's own (128 + N if signal N ended it), or
  ${LAB_EXIT_STATUS.usage}    these arguments are wrong
  ${LAB_EXIT_STATUS.unavailable}   the lab cannot run here: tests/lab/setup installs what is missing
  ${LAB_EXIT_STATUS.timeout}  the time was up
  ${LAB_EXIT_STATUS.died}  the lab died: a kernel panic, a standstill, or QEMU ended
  126  the command is not executable
  127  there is no such command
  ${LAB_EXIT_STATUS.interrupted}  interrupted
`;

/** Sets one option from its word on the command line. */
function setOption(options: LabOptions, name: string, value: string): void {
  switch (name) {
    case "--memory":
      options.memory = value;
      return;
    case "--cpus":
      options.cpus = Number(value);
      return;
    case "--timeout":
      options.timeoutSeconds = Number(value);
      return;
    case "--standstill":
      options.standstillSeconds = Number(value);
      return;
    case "--env": {
      const at = value.indexOf("=");
      if (at < 0) throw new LabError("usage", `env ${value}: give NAME=VALUE`);
      options.env[value.slice(0, at)] = value.slice(at + 1);
      return;
    }
    case "--hugepages":
      options.hugepages.push(value);
      return;
    case "--expose":
      options.expose.push(value);
      return;
    default:
      throw new LabError("usage", `unknown option ${name}`);
  }
}

/** Parses the words after `bun run lab`. The first word that is no option begins the command. */
export function parseLabArguments(words: readonly string[]): LabInvocation {
  const options = structuredClone(DEFAULT_LAB_OPTIONS);
  const rest = [...words];
  while (rest[0]?.startsWith("--")) {
    const [name = "", ...inline] = (rest.shift() as string).split("=");
    if (name === "--") break;
    if (name === "--help") return { help: true };
    const value = inline.length > 0 ? inline.join("=") : rest.shift();
    if (value === undefined) throw new LabError("usage", `${name} lacks its value`);
    setOption(options, name, value);
  }
  if (rest.length === 0) throw new LabError("usage", "no command to run in the lab; see --help");
  return { help: false, argv: rest, options: labOptions(options) };
}
