/** The kernel, Bun, the folder of the VMs, and the programs that the lab's tests use. */
import { access, W_OK } from "@vmm/libc";
import { checkRuntimeRoot, runtimeRoot } from "@vmm/vmm/config/index.ts";
import { resolveImage } from "@vmm/vmm/image/index.ts";
import { reasonOf } from "../cli-error.ts";
import type { Check } from "./check.ts";
import { isAtLeast, readText } from "./host-files.ts";

export async function softwareChecks(): Promise<Check[]> {
  return [kernel(), bun(), runtimeFolder(), await image(), qemu(), busybox()];
}

function kernel(): Check {
  const release = readText("/proc/sys/kernel/osrelease") ?? "unknown";
  if (process.arch !== "x64") {
    const detail = `Linux ${release} on ${process.arch}`;
    return { name: "kernel", state: "missing", detail, help: "vmm runs on x86-64", required: true };
  }
  // KVM_GET_SREGS2, MADV_POPULATE_WRITE
  if (isAtLeast(release, 5, 14)) return { name: "kernel", state: "ok", detail: `Linux ${release}` };
  return {
    name: "kernel",
    state: "missing",
    detail: `Linux ${release}`,
    help: "vmm needs Linux 5.14 or newer",
    required: true,
  };
}

function bun(): Check {
  return { name: "Bun", state: "ok", detail: Bun.version };
}

function runtimeFolder(): Check {
  const root = runtimeRoot();
  const missing = (detail: string): Check => {
    const help = "set XDG_RUNTIME_DIR to a folder of your own";
    return { name: "VMs' folder", state: "missing", detail, help, required: true };
  };
  try {
    const isThere = checkRuntimeRoot(root);
    const parent = root.slice(0, root.lastIndexOf("/"));
    if (!access(isThere ? root : parent, W_OK)) return missing(`${root} cannot be made`);
  } catch (error) {
    return missing(reasonOf(error));
  }
  return { name: "VMs' folder", state: "ok", detail: root };
}

async function image(): Promise<Check> {
  const { argv } = await resolveImage();
  const entry = argv.at(-1) as string;
  if (!entry.endsWith(".ts"))
    return { name: "image", state: "ok", detail: "VMs run from a prebuilt executable" };
  return {
    name: "image",
    state: "warn",
    detail: "VMs run from the sources: a live update takes about 20 ms more",
    help: "make node_modules/.cache writable, and unset VMM_IMAGE",
  };
}

function qemu(): Check {
  const name = "QEMU";
  const help = "only for the tests in the lab: tests/lab/setup installs it";
  const path = Bun.which("qemu-system-x86_64");
  if (!path) return { name, state: "missing", detail: "qemu-system-x86_64 is not installed", help };
  const { stdout, success } = Bun.spawnSync([path, "--version"], {
    stdout: "pipe",
    stderr: "ignore",
    timeout: 10_000,
  });
  const version = /version (\S+)/.exec(stdout.toString())?.[1];
  if (!success || !version) return { name, state: "warn", detail: `${path} does not tell its version`, help };
  if (isAtLeast(version, 10, 0)) return { name, state: "ok", detail: `${version} (${path})` };
  return { name, state: "warn", detail: `${version}: the lab needs 10.0 or newer`, help };
}

function busybox(): Check {
  const help = "only for the tests in the lab: tests/lab/setup installs it";
  const path = Bun.which("busybox");
  if (path) return { name: "busybox", state: "ok", detail: path };
  return { name: "busybox", state: "missing", detail: "busybox is not installed", help };
}
