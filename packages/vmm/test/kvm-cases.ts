/** The test's side of `kvm-case.ts`. */
import { join } from "node:path";
import { close, O_CLOEXEC, O_RDWR, open, SyscallError } from "@vmm/libc";

/** A guest that does not end by then hangs (ms). */
const LIMIT_MS = 25_000;

/** Why no VM can run here, for a test's name; undefined where one can. */
export const withoutKvm: string | undefined = (() => {
  try {
    close(open("/dev/kvm", O_RDWR | O_CLOEXEC));
    return undefined;
  } catch (error) {
    return `/dev/kvm: ${error instanceof SyscallError ? error.code : error}`;
  }
})();

/**
 * Runs the cases that a program exports, each in a process of its own.
 *
 * @param file The program beside this one, such as `kvm-exits.ts`.
 * @returns Runs a case by name and gives what it returned.
 */
export function kvmCases<Module extends object>(file: string) {
  return async <Name extends keyof Module & string>(name: Name): Promise<CaseResult<Module[Name]>> => {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "kvm-case.ts"), file, name], {
      stdout: "pipe",
      stderr: "pipe",
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
    });
    const [out, error, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    if (status !== 0) throw new Error(`${file} ${name} ended with ${child.signalCode ?? status}: ${error}`);
    return JSON.parse(out);
  };
}

type CaseResult<Case> = Case extends (...args: never[]) => infer Result ? Awaited<Result> : never;
