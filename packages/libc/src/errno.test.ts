import { expect, test } from "bun:test";
import { E, errno, errnoName, errnoText } from "./errno.ts";
import { close } from "./fd.ts";
import { libc } from "./libc.ts";

test("an error number has its main name, not an alias", () => {
  expect(errnoName(E.EAGAIN)).toBe("EAGAIN");
  expect(errnoName(E.ENOTSUP)).toBe("EOPNOTSUPP");
  expect(errnoName(E.EDEADLOCK)).toBe("EDEADLK");
  expect(errnoName(512)).toBe("errno 512");
});

test("error texts begin without a capital, unless it is an abbreviation", () => {
  expect(errnoText(E.ENOENT)).toBe("no such file or directory");
  expect(errnoText(E.EDOTDOT)).toBe("RFS specific error");
});

test("errno is that of the last failure", () => {
  expect(libc.close(-1)).toBe(-1);
  expect(errno()).toBe(E.EBADF);
  expect(libc.open("/nonexistent", 0, 0)).toBe(-1);
  expect(errno()).toBe(E.ENOENT);
});

test("errno is each thread's own", async () => {
  const worker = new Worker(new URL("../test/programs/errno-worker.ts", import.meta.url).href);
  try {
    const mismatches = new Promise<number>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(event.message);
    });
    // The worker fails with ENOENT all the while; this thread with EBADF.
    let done = false;
    const result = mismatches.finally(() => {
      done = true;
    });
    let wrong = 0;
    while (!done) {
      for (let i = 0; i < 1000; i++) if (libc.close(-1) !== -1 || errno() !== E.EBADF) wrong++;
      await Bun.sleep(0);
    }
    expect(wrong).toBe(0);
    expect(await result).toBe(0);
  } finally {
    worker.terminate();
  }
});

test("a failed call says what it was, on what, and why", () => {
  expect(() => close(1_000_000)).toThrow("close fd 1000000: EBADF (bad file descriptor)");
});
