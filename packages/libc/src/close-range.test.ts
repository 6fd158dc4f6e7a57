import { expect, test } from "bun:test";
import { setCloexecFrom } from "./close-range.ts";
import { close, dup, isCloexec, setCloexec } from "./fd.ts";

test("every fd from the first on is closed by exec, and none before it", () => {
  const low = dup(2, 600);
  const high = dup(2, 700);
  try {
    for (const fd of [low, high]) setCloexec(fd, false);
    setCloexecFrom(700);
    expect([isCloexec(low), isCloexec(high)]).toEqual([false, true]);
  } finally {
    close(low);
    close(high);
  }
});
