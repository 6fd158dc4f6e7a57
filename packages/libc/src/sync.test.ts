import { expect, test } from "bun:test";
import { close, open } from "./fd.ts";
import { fsync } from "./sync.ts";
import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "./uapi/fcntl.ts";

test("a directory is synced, and an fd that is not open is refused by number", () => {
  const fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  try {
    fsync(fd);
  } finally {
    close(fd);
  }
  expect(() => fsync(999_999)).toThrow("fsync fd 999999: EBADF");
});
