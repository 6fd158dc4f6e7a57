/**
 * Where a running VM lives in the file system: `$XDG_RUNTIME_DIR/vmm/<name>/`, `/run/vmm/<name>/` for root, all of it
 * private to the user. Where there is neither (a plain container), `/tmp/vmm-<uid>/<name>/`.
 */
import { access, close, F_OK, mkdir } from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";
import { checkSocketPath } from "./chardev-option.ts";
import { openOwnFolder, ownUid } from "./own-folder.ts";

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

const currentPlace = (): Place => ({ env: process.env, uid: ownUid() });

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
 * Whether the root is there. One that others could tamper with is refused, by whoever looks into it: what lies there would
 * be taken for VMs of this user.
 *
 * @throws VmmError `config`.
 */
export function checkRuntimeRoot(root: string = runtimeRoot(), uid: number = ownUid()): boolean {
  const folder = openOwnFolder(root, uid);
  if (folder === "none") return false;
  if (folder !== "foreign") {
    close(folder.fd);
    if ((folder.mode & 0o077) === 0) return true;
  }
  const rule = "it must be a folder, its owner you, its mode 0700";
  throw new VmmError("config", `${root} is not private to you: ${rule}; or set XDG_RUNTIME_DIR`);
}

/** Makes the root where it is missing. @throws VmmError `config`, as `checkRuntimeRoot` does. */
export function makeRuntimeRoot(root: string = runtimeRoot(), uid: number = ownUid()): void {
  if (!access(parentOf(root), F_OK)) {
    throw new VmmError(
      "config",
      `the folder ${parentOf(root)} for running VMs is missing: set XDG_RUNTIME_DIR`,
    );
  }
  mkdir(root, 0o700);
  checkRuntimeRoot(root, uid);
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/";
