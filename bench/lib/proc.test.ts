import { describe, expect, test } from "bun:test";
import { close, MFD_CLOEXEC, memfdCreate } from "@vmm/libc";
import { findFd, residency, residencyOf } from "./proc.ts";

const SMAPS = `\
00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/bun
Size:                328 kB
Rss:                 300 kB
Pss:                 100 kB
7f0000000000-7f0004000000 rw-s 00000000 00:01 1025 /memfd:ram0 (deleted)
Size:              65536 kB
Rss:               65000 kB
7f0004000000-7f0004001000 rw-p 00000000 00:00 0
Rss:                   4 kB
7f0004001000-7f0004002000 rw-p 00000000 00:00 0                          [heap]
Rss:                  40 kB
`;

describe("resident memory", () => {
  test("is that of all mappings but those of the file left out", () => {
    expect(residency(SMAPS, "/memfd:ram0")).toEqual({ rss: 344 * 1024, excluded: 65000 * 1024 });
    expect(residency(SMAPS, "/memfd:ram")).toEqual({ rss: 65344 * 1024, excluded: 0 });
  });

  test("of this process is what the kernel says in sum", () => {
    const { rss, excluded } = residencyOf(process.pid, "/nothing");
    expect(excluded).toBe(0);
    // `rss` counts what was resident a moment ago
    expect(rss / process.memoryUsage().rss).toBeWithin(0.5, 2);
  });
});

test("an fd is found by what it is open on, not by the beginning of its name", () => {
  const fd = memfdCreate("bench-proc-test", MFD_CLOEXEC);
  try {
    expect(findFd(process.pid, "/memfd:bench-proc-test")).toBe(`/proc/${process.pid}/fd/${fd}`);
    expect(findFd(process.pid, "/memfd:bench-proc")).toBeUndefined();
  } finally {
    close(fd);
  }
});
