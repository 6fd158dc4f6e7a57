/**
 * A live update may run a wrapper that ends in `vmm start --foreground`: then this command is not to start a VM but to
 * hand what the old VMM left on to the new one.
 */
import { CPR_STATE_ENV, decodeCprState, fdFromEnvironment, readSealedMemfd } from "@vmm/cpr";
import { execve, setCloexec } from "@vmm/libc";

/** The largest CPR state, in bytes. */
const LIMIT = 16 << 20;

/** Becomes the new VMM, with every fd that the old one left: Bun has marked them all to be closed by exec. */
export function passUpdateOn(argv: readonly string[]): never {
  const stateFd = fdFromEnvironment(CPR_STATE_ENV, process.env) as number;
  const { fds } = decodeCprState(readSealedMemfd(stateFd, "CPR state", LIMIT));
  for (const fd of [stateFd, ...fds.map((entry) => entry.fd)]) setCloexec(fd, false);
  execve(argv[0] as string, argv, process.env);
}
