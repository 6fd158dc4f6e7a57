/**
 * Where a running VM lives in the file system: `$XDG_RUNTIME_DIR/vmm/<name>/`, `/run/vmm/<name>/` for root, all of it
 * private to the user. Where there is neither (a plain container), `/tmp/vmm-<uid>/<name>/`.
 */
import { access, close, F_OK, fstat, mkdir, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, open } from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";
import { checkSocketPath } from "./chardev-option.ts";

/** What decides where VMs live. */
export interface Place {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

/** The files in a VM's folder. */
export interface VmPaths {
  readonly folder: string;
  /** The QMP control socket. */
  readonly qmp: string;
  /** The serial console's socket. */
  readonly console: string;
  readonly config: string;
  /** What the VM process printed. */
  readonly log: string;
  /** Locked (flock) for as long as the VM lives. */
  readonly lock: string;
}

export function vmPaths(folder: string): VmPaths {
  const at = (name: string) => `${folder}/${name}`;
  return {
    folder,
    qmp: at("qmp.sock"),
    console: at("console.sock"),
    config: at("config.json"),
    log: at("log"),
    lock: at("lock"),
  };
}

const currentPlace = (): Place => ({ env: process.env, uid: process.getuid?.() ?? 0 });

/** The folder that holds the folders of this user's VMs. It need not be there yet. */
export function runtimeRoot({ env, uid }: Place = currentPlace()): string {
  const runtime = env.XDG_RUNTIME_DIR;
  if (runtime?.startsWith("/")) return `${runtime.replace(/\/+$/, "")}/vmm`;
  if (uid === 0) return "/run/vmm";
  const session = `/run/user/${uid}`;
  return access(session, F_OK) ? `${session}/vmm` : `/tmp/vmm-${uid}`;
}

/** A VM's files by its name. @throws VmmError `config` where its sockets would have too long a path. */
export function pathsOf(name: string, root: string = runtimeRoot()): VmPaths {
  const paths = vmPaths(`${root}/${name}`);
  checkSocketPath(paths.console);
  return paths;
}

/**
 * Makes the root where it is missing, and refuses one that others could tamper with.
 *
 * @throws VmmError `config`.
 */
export function makeRuntimeRoot(root: string = runtimeRoot(), uid: number = currentPlace().uid): void {
  if (!access(parentOf(root), F_OK)) {
    throw new VmmError(
      "config",
      `the folder ${parentOf(root)} for running VMs is missing: set XDG_RUNTIME_DIR`,
    );
  }
  mkdir(root, 0o700);
  const fd = open(root, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  try {
    const { mode, uid: owner } = fstat(fd);
    if (owner === uid && (mode & 0o077) === 0) return;
    throw new VmmError("config", `${root} is not private to you: its owner must be you, its mode 0700`);
  } finally {
    close(fd);
  }
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/";
