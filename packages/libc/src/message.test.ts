import { expect, test } from "bun:test";
import { newFds } from "../test/new-fds.ts";
import { fdScope } from "../test/scope.ts";
import { isCloexec, setNonblocking } from "./fd.ts";
import { pread, pwriteAll } from "./io.ts";
import { memfdCreate } from "./memfd.ts";
import { MAX_MESSAGE_FDS, recvmsg, sendmsg } from "./message.ts";
import { socketpair } from "./socket.ts";
import { fstat, openFds } from "./stat.ts";
import { MSG_PEEK, SOCK_CLOEXEC, SOCK_SEQPACKET } from "./uapi/socket.ts";

test("fds cross with the bytes, as new numbers for the same files", () => {
  using fds = fdScope();
  const [a, b] = fds.ownAll(socketpair());
  const files = ["one", "two", "three"].map((name) => {
    const fd = fds.own(memfdCreate(name, 0));
    pwriteAll(fd, Buffer.from(name), 0);
    return fd;
  });
  expect(sendmsg(a, Buffer.from("here they are"), files)).toBe(13);
  const bytes = Buffer.alloc(64);
  const message = recvmsg(b, bytes, 8);
  fds.ownAll(message?.fds ?? []);
  expect(message).toMatchObject({ length: 13, truncated: false });
  expect(bytes.toString("utf8", 0, 13)).toBe("here they are");
  expect(message?.fds.map((fd) => fstat(fd).ino)).toEqual(files.map((fd) => fstat(fd).ino));
  expect(message?.fds.every(isCloexec)).toBe(true);
  const content = Buffer.alloc(3);
  pread(message?.fds[1] as number, content, 0);
  expect(content.toString()).toBe("two");
});

test("a message without fds, an empty socket and the end of the stream", () => {
  using fds = fdScope();
  const [a, b] = fds.ownAll(socketpair());
  setNonblocking(b, true);
  const bytes = Buffer.alloc(8);
  expect(recvmsg(b, bytes, 4)).toBeUndefined();
  sendmsg(a, Buffer.from("x"));
  expect(recvmsg(b, bytes, 4)).toEqual({ length: 1, fds: [], truncated: false });
  fds.close(a);
  expect(recvmsg(b, bytes, 4)).toEqual({ length: 0, fds: [], truncated: false });
});

test("a full socket gives undefined, a closed one EPIPE without a signal", () => {
  using fds = fdScope();
  const [a, b] = fds.ownAll(socketpair());
  setNonblocking(a, true);
  const page = new Uint8Array(4096);
  while (sendmsg(a, page) !== undefined);
  fds.close(b);
  expect(() => sendmsg(a, page)).toThrow(`sendmsg fd ${a}: EPIPE`);
});

test.each([0, 1, 2, 3])("of 4 fds for a receiver that takes %d, none stays open", (maxFds) => {
  using fds = fdScope();
  const [a, b] = fds.ownAll(socketpair());
  const file = fds.own(memfdCreate("extra", 0));
  sendmsg(a, Buffer.from("x"), [file, file, file, file]);
  const before = openFds();
  expect(() => recvmsg(b, Buffer.alloc(1), maxFds)).toThrow(
    `recvmsg fd ${b}: more than ${maxFds} fds came: EMSGSIZE`,
  );
  expect(newFds(before)).toEqual([]);
});

test("the most fds a message can have arrive, one more is refused before it is sent", () => {
  using fds = fdScope();
  const [a, b] = fds.ownAll(socketpair());
  const file = fds.own(memfdCreate("many", 0));
  const many = Array.from({ length: MAX_MESSAGE_FDS }, () => file);
  sendmsg(a, Buffer.from("x"), many);
  const message = recvmsg(b, Buffer.alloc(1), 1000);
  fds.ownAll(message?.fds ?? []);
  expect(message?.fds).toHaveLength(MAX_MESSAGE_FDS);
  expect(() => sendmsg(a, Buffer.from("x"), [...many, file])).toThrow("254 fds: a message has at most 253");
});

test("a datagram longer than the buffer is marked as truncated", () => {
  using fds = fdScope();
  const [a, b] = fds.ownAll(socketpair(SOCK_SEQPACKET | SOCK_CLOEXEC));
  sendmsg(a, Buffer.from("four"));
  const bytes = Buffer.alloc(2);
  expect(recvmsg(b, bytes, 0, MSG_PEEK)).toEqual({ length: 2, fds: [], truncated: true });
  expect(recvmsg(b, bytes)).toEqual({ length: 2, fds: [], truncated: true });
});

test("sending a closed fd fails and names the socket", () => {
  using fds = fdScope();
  const [a] = fds.ownAll(socketpair());
  expect(() => sendmsg(a, Buffer.from("x"), [999_999])).toThrow(`sendmsg fd ${a}: EBADF`);
});
