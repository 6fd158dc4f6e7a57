/** What `char-ring-guest.ts` is told to do. */
export interface GuestTask {
  readonly arena: SharedArrayBuffer;
  readonly kind: "print" | "echo";
  /** How many bytes to print or to echo. */
  readonly count: number;
}

/** The byte that the guest prints at a position: a sequence whose period is no power of two. */
export const printed = (position: number): number => position % 251;
