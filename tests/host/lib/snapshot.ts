/** What a VM has, to tell whether an update has left anything: fds, processes, threads, files. */
import {
  childrenOf,
  commandLineOf,
  connectionsTo,
  environmentOf,
  openFdsOf,
  settingsOf,
  workersOf,
} from "./proc.ts";
import { type TestVm, until } from "./vm.ts";

export interface Snapshot {
  /** What each fd is. Files and memfds by their identity; sockets and kernel objects only by their kind. */
  readonly fds: readonly string[];
  /** Fds beside stdio that a child would inherit. */
  readonly inheritable: readonly string[];
  /** Command lines of all processes of the VM but the VMM itself. */
  readonly processes: readonly string[];
  /** Children of the VMM, zombies among them. */
  readonly children: number;
  /** Threads of our own; the engine starts and ends helpers as it likes. */
  readonly workers: number;
  readonly files: readonly string[];
  /** What the VMM passes on to who comes after it: variables, working directory, file mode mask, limits. */
  readonly settings: readonly string[];
}

/** Of ours some belong to the update: they are looked at by who makes it. The others any shell in between sets. */
const NOT_COMPARED = /^(VMM_.*|PWD|OLDPWD|SHLVL|_)$/;

const describeFd = ({ link, identity }: { link: string; identity: string }): string =>
  link.startsWith("/") && !link.startsWith("/dev/")
    ? `${link} ${identity}`
    : link.replace(/^(socket|pipe):.*/, "$1");

const variablesOf = (pid: number): string[] =>
  [...environmentOf(pid)].flatMap(([name, value]) => (NOT_COMPARED.test(name) ? [] : [`${name}=${value}`]));

export function takeSnapshot(vm: TestVm, pid: number): Snapshot {
  const fds = openFdsOf(pid);
  const inheritable = fds.filter(({ fd, cloexec }) => fd > 2 && !cloexec);
  return {
    fds: fds.map(describeFd).sort(),
    inheritable: inheritable.map(({ fd, link }) => `${fd} ${link}`),
    processes: vm.processes().flatMap((other) => (other === pid ? [] : [commandLineOf(other).join(" ")])),
    children: childrenOf(pid).length,
    workers: workersOf(pid),
    files: vm.files(),
    settings: [...variablesOf(pid), ...settingsOf(pid)],
  };
}

const STEADY_MS = 30;
const SETTLE_MS = 10_000;

/** Whether nothing of an update or of a client is there any more: a connection that a client has ended lives on a moment. */
export const isAtRest = (vm: TestVm, pid: number): boolean =>
  childrenOf(pid).length === 0 && connectionsTo(vm.paths.qmp) === 0;

/** Takes it once nothing of an update or of a client is going away any more. */
export async function settledSnapshot(vm: TestVm, pid: number): Promise<Snapshot> {
  let last = takeSnapshot(vm, pid);
  await until(
    "the VM is at rest",
    async () => {
      await Bun.sleep(STEADY_MS);
      // asked first, so that what is going away until then is in no snapshot
      const atRest = isAtRest(vm, pid);
      const before = last;
      last = takeSnapshot(vm, pid);
      return atRest && compareSnapshots(before, last).length === 0;
    },
    SETTLE_MS,
  ).catch(() => {});
  return last;
}

/** Elements of `a` that `b` has not, as often as they are missing. */
function beyond(a: readonly string[], b: readonly string[]): string[] {
  const rest = [...b];
  return a.filter((element) => {
    const at = rest.indexOf(element);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

/** In what the two differ, a line each. */
export function compareSnapshots(before: Snapshot, after: Snapshot): string[] {
  const lists = (["fds", "inheritable", "processes", "files", "settings"] as const).flatMap((what) => [
    ...beyond(after[what], before[what]).map((more) => `left over (${what}): ${more}`),
    ...beyond(before[what], after[what]).map((less) => `lost (${what}): ${less}`),
  ]);
  const numbers = (["children", "workers"] as const).flatMap((what) =>
    before[what] === after[what] ? [] : [`${what}: ${before[what]} before, ${after[what]} after`],
  );
  return [...lists, ...numbers];
}

/** Waits until the VM has neither more nor less than before. Returns in what it differs if it goes on doing so. */
export async function differences(vm: TestVm, pid: number, before: Snapshot, ms = 5000): Promise<string[]> {
  let found: string[] = [];
  const same = () => {
    found = compareSnapshots(before, takeSnapshot(vm, pid));
    return found.length === 0;
  };
  await until("as before", same, ms).catch(() => {});
  return found;
}
