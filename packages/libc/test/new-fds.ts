import { openFds } from "../src/index.ts";

/**
 * The fds that are open now and were not `before`. None is what a test expects; that none is gone it cannot expect: the
 * runtime's threads, and what another file's tests left to the event loop, close theirs when they please.
 */
export const newFds = (before: readonly number[]): number[] => openFds().filter((fd) => !before.includes(fd));
