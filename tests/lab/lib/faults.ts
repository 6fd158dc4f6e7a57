/** Ways in which an update of the lab's Linux guest fails, a part of the matrix of `bun run faults`. */

export interface LabFault {
  readonly what: string;
  /** What is run in the new VMM's place, or where the new VMM fails, as VMM_FAULT takes it. */
  readonly fault: { readonly program: string } | { readonly point: string };
  /** Whether the new command is asked first. */
  readonly preflight?: boolean;
  /** Parameter x-cpr-commit-timeout. */
  readonly timeoutMs?: number;
  /** What the command's message must say. */
  readonly reason: RegExp;
  /** `none` where nothing has begun; else whether the guest goes on in the same process. */
  readonly pid: "none" | "same" | "new";
}

const DIED = /the new VMM died before it ran the guest/;

export const FAULTS: readonly LabFault[] = [
  {
    what: "a command that is no VMM is found by asking it",
    fault: { program: "/bin/true" },
    preflight: true,
    reason: /did not answer|ended|no report|is no VMM/,
    pid: "none",
  },
  {
    what: "execve fails",
    fault: { program: "garbage" },
    reason: /ENOEXEC/,
    pid: "same",
  },
  {
    what: "the new program ends at once",
    fault: { program: "/bin/true" },
    reason: DIED,
    pid: "new",
  },
  {
    what: "the load fails between devices and vCPUs",
    fault: { point: "restore-vm:throw" },
    reason: /fault at restore-vm/,
    pid: "same",
  },
  {
    what: "the new VMM crashes while it loads the vCPUs",
    fault: { point: "load-vcpus:segv" },
    reason: DIED,
    pid: "new",
  },
  {
    what: "the new VMM is killed right before it runs the guest",
    fault: { point: "commit:kill" },
    reason: DIED,
    pid: "new",
  },
  {
    what: "the new VMM hangs",
    fault: { point: "start:hang" },
    timeoutMs: 8000,
    reason: /did not run the guest within 8000 ms/,
    pid: "new",
  },
];
