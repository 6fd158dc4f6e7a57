/** Finding the program that is to replace this one, before anything is stopped for it. */
import { access, close, fstat, O_CLOEXEC, O_PATH, open, SyscallError, X_OK } from "@vmm/libc";
import { CprError } from "../cpr-error.ts";
import type { Environment } from "../persist.ts";

const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

/** Why a file cannot be executed, or undefined where it can. */
function obstacle(path: string): string | undefined {
  let fd: number;
  try {
    fd = open(path, O_PATH | O_CLOEXEC);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return error.code === "ENOENT" ? "there is no such file" : error.message;
  }
  try {
    const { kind } = fstat(fd);
    if (kind !== "file") return `it is a ${kind}, not a program`;
  } finally {
    close(fd);
  }
  return access(path, X_OK) ? undefined : "it is not executable (chmod +x it, or name another)";
}

/**
 * The file of a command, searched on PATH where its name has no slash.
 *
 * @throws CprError `exec-target` where there is none, or it is a directory or not executable.
 */
export function resolveExecTarget(command: readonly string[], env: Environment): string {
  const name = command[0];
  if (!name) throw new CprError("exec-target", "the command that is to replace this VMM is empty");
  if (name.includes("/")) {
    const why = obstacle(name);
    if (why === undefined) return name;
    throw new CprError("exec-target", `cannot run ${name} in place of this VMM: ${why}`);
  }
  let why = "it is not on PATH";
  for (const folder of (env.PATH ?? DEFAULT_PATH).split(":")) {
    const path = `${folder || "."}/${name}`;
    const here = obstacle(path);
    if (here === undefined) return path;
    if (access(path, 0)) why = `${path}: ${here}`;
  }
  throw new CprError("exec-target", `cannot run ${name} in place of this VMM: ${why}`);
}
