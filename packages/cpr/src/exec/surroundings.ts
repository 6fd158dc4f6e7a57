/**
 * What a program finds around it beside its fds: variables, umask, limits, the folder it works in. A wrapper that starts
 * the new VMM may change all of it for the new one; the old one, run again, finds it as it was.
 */
import {
  close,
  fchdir,
  getcwd,
  getrlimit,
  getUmask,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  open,
  RLIMIT,
  type RlimitName,
  setrlimit,
  umask,
} from "@vmm/libc";
import { reasonOf } from "../cpr-error.ts";
import { type Json, JsonChecker } from "../json-check.ts";
import type { Environment } from "../persist.ts";

export type Surroundings = {
  /** `NAME=value` each. */
  readonly environment: readonly string[];
  readonly umask: number;
  /** See `Rlimit`. */
  readonly limits: readonly { readonly name: RlimitName; readonly soft: number; readonly hard: number }[];
};

export const RLIMIT_NAMES = Object.keys(RLIMIT) as RlimitName[];

const check = new JsonChecker("state-invalid", "the old VMM's surroundings");
const MAX_VARIABLES = 1 << 16;
const MAX_LIMITS = 64;

/** @param env What counts for this program's variables; `process.env`. */
export function describeSurroundings(env: Environment): Surroundings {
  const set = Object.entries(env).filter(([, value]) => value !== undefined);
  return {
    environment: set.map(([name, value]) => `${name}=${value}`),
    umask: getUmask(),
    limits: RLIMIT_NAMES.map((name) => ({ name, ...getrlimit(name) })),
  };
}

/**
 * Surroundings that came as JSON, which has no infinity and writes it as null. What this version does not know is left out.
 *
 * @throws CprError `state-invalid`
 */
export function readSurroundings(value: Json): Surroundings {
  const around = check.object(value, "the whole");
  const limits = check.array(around.limits, "limits", MAX_LIMITS).flatMap((entry, i) => {
    const limit = check.object(entry, `limits[${i}]`);
    const unit = (which: "soft" | "hard") =>
      limit[which] === null ? Number.POSITIVE_INFINITY : check.number(limit[which], `limits[${i}].${which}`);
    const name = RLIMIT_NAMES.find((known) => known === limit.name);
    return name ? [{ name, soft: unit("soft"), hard: unit("hard") }] : [];
  });
  const environment = check.strings(around.environment, "environment", MAX_VARIABLES);
  return { environment, umask: check.integer(around.umask, "umask", 0, 0o777), limits };
}

/** The folder that this process works in, as an fd: it is the same one when it has been moved. */
export const openWorkingFolder = (): number => open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

/** The variables as an environment of their own. */
export function environmentOf({ environment }: Surroundings): Environment {
  return Object.fromEntries(
    environment.map((text) => {
      // a name is never empty: what begins with = is part of it
      const end = text.indexOf("=", 1);
      return [text.slice(0, end), text.slice(end + 1)];
    }),
  );
}

/**
 * Makes umask, limits and folder of this process what they were.
 *
 * @param folder From `openWorkingFolder`.
 * @returns What could not be put back, such as a hard limit that only root may raise.
 */
export function restoreSurroundings(before: Surroundings, folder: number | undefined): string[] {
  const failed: string[] = [];
  const attempt = (step: () => void) => {
    try {
      step();
    } catch (error) {
      failed.push(reasonOf(error));
    }
  };
  umask(before.umask);
  for (const { name, soft, hard } of before.limits) {
    const now = getrlimit(name);
    if (now.soft !== soft || now.hard !== hard) attempt(() => setrlimit(name, { soft, hard }));
  }
  if (folder !== undefined) attempt(() => fchdir(folder));
  attempt(leaveRemovedFolder);
  return failed;
}

/** Bun does not start in a folder that has been removed. */
function leaveRemovedFolder(): void {
  if (getcwd() !== undefined) return;
  const root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  try {
    fchdir(root);
  } finally {
    close(root);
  }
}
