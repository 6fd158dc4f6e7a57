import { describe, expect, test } from "bun:test";
import * as libc from "@vmm/libc";
import { checkPreservedFd, identifyFd, type PreservedFd } from "./fd-identity.ts";

/** Opens one fd of each kind, and closes them all at the end. */
function withFds(use: (fds: Record<string, number>) => void): void {
  const [reader, writer] = libc.pipe();
  const [left, right] = libc.socketpair();
  const fds: Record<string, number> = {
    memfd: libc.memfdCreate("identity", libc.MFD_CLOEXEC),
    file: libc.open("/proc/self/exe", libc.O_RDONLY | libc.O_CLOEXEC),
    directory: libc.open("/", libc.O_RDONLY | libc.O_DIRECTORY | libc.O_CLOEXEC),
    device: libc.open("/dev/null", libc.O_RDWR | libc.O_CLOEXEC),
    eventfd: libc.eventfd(),
    timerfd: libc.timerfdCreate(libc.CLOCK_MONOTONIC),
    epoll: libc.epollCreate(),
    pidfd: libc.pidfdOpen(libc.getpid()),
    pipe: reader,
    writer,
    socket: left,
    right,
  };
  try {
    use(fds);
  } finally {
    for (const fd of Object.values(fds)) libc.close(fd);
  }
}

const preserved = (fd: number): PreservedFd => ({ ...identifyFd(fd), name: "x", id: 0, fd });

describe("what an fd is", () => {
  test("is known by its kind", () => {
    withFds((fds) => {
      for (const kind of [
        "memfd",
        "file",
        "directory",
        "device",
        "eventfd",
        "timerfd",
        "epoll",
        "pidfd",
        "pipe",
        "socket",
      ]) {
        expect([kind, identifyFd(fds[kind] as number).kind]).toEqual([kind, kind] as never);
      }
    });
  });

  test("is recognized again", () => {
    withFds((fds) => {
      for (const fd of Object.values(fds)) checkPreservedFd(preserved(fd));
    });
  });

  test("is refused by its name where it is not open, another kind, another object, or of another size", () => {
    withFds((fds) => {
      const { memfd, eventfd, socket, right } = fds as { [name: string]: number } & Record<
        "memfd" | "eventfd" | "socket" | "right",
        number
      >;
      const ram = preserved(memfd);
      expect(() => checkPreservedFd({ ...ram, name: "ram0", fd: 999_999 })).toThrow(
        '999999, "ram0", is not open',
      );
      expect(() => checkPreservedFd({ ...ram, fd: eventfd })).toThrow("was a memfd and is a eventfd now");
      expect(() => checkPreservedFd({ ...preserved(socket), fd: right })).toThrow("is another socket now");
      libc.ftruncate(memfd, 4096);
      expect(() => checkPreservedFd(ram)).toThrow("had 0 bytes and has 4096 now");
    });
  });
});
