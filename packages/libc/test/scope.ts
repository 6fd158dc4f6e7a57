import { close } from "../src/index.ts";

/** Closes the fds that a test has opened, however it ends: `using fds = fdScope()`. */
export function fdScope() {
  const owned = new Set<number>();
  return {
    own(fd: number): number {
      owned.add(fd);
      return fd;
    },
    ownAll<T extends readonly number[]>(fds: T): T {
      for (const fd of fds) owned.add(fd);
      return fds;
    },
    /** Closes one of them early. */
    close(fd: number): void {
      owned.delete(fd);
      close(fd);
    },
    [Symbol.dispose](): void {
      for (const fd of owned) close(fd);
    },
  };
}

/** What a call throws; fails where it does not. */
export function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
