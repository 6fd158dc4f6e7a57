/**
 * A live update may run a wrapper that ends in `vmm start --foreground`: then this command is not to start a VM but to
 * hand what the old VMM left, or wants to know, on to the new one.
 */
import { decodeCprState, fdFromEnvironment, readSealedMemfd } from "@vmm/cpr";
import { CPR_PREFLIGHT_ENV, CPR_STATE_ENV, CPR_TRANSFER_ENV } from "@vmm/cpr/environment";
import { execve, setCloexec } from "@vmm/libc";

/** The largest CPR state, in bytes. */
const LIMIT = 16 << 20;

/** The fds that the old VMM has named by a variable: the variable's own, and those that a CPR state lists. */
function namedFds(variable: string): number[] {
  const fd = fdFromEnvironment(variable, process.env);
  if (fd === undefined) return [];
  if (variable === CPR_TRANSFER_ENV) return [fd];
  const state = decodeCprState(readSealedMemfd(fd, "CPR state", LIMIT));
  return [fd, ...state.fds.map((entry) => entry.fd)];
}

/** Becomes the new VMM, with every fd that the old one left: Bun has marked them all to be closed by exec. */
export function passUpdateOn(argv: readonly string[]): never {
  const fds = [CPR_STATE_ENV, CPR_PREFLIGHT_ENV, CPR_TRANSFER_ENV].flatMap(namedFds);
  for (const fd of fds) setCloexec(fd, false);
  execve(argv[0] as string, argv, process.env);
}
