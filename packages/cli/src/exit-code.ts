/** Exit statuses of the vmm command. */
export const EXIT = {
  /** Done. */
  ok: 0,
  /** It was tried and failed: the message says at what. */
  failed: 1,
  /** Bad input, or a host that cannot do it: nothing was changed. */
  usage: 2,
  /** No running VM of that name. */
  noVm: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
