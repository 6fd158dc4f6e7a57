import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  _IO,
  _IOR,
  _IOW,
  _IOWR,
  array,
  bytes,
  Cmsghdr,
  E,
  EpollEvent,
  type FieldType,
  Itimerspec,
  i8,
  i16,
  i32,
  i64,
  Msghdr,
  PollFd,
  RLIMIT,
  RlimitStruct,
  Sigaction,
  Stat,
  struct,
  Timespec,
  Ucred,
  u8,
  u16,
  u32,
  u64,
} from "../src/index.ts";
import * as event from "../src/uapi/event.ts";
import * as fcntl from "../src/uapi/fcntl.ts";
import * as mman from "../src/uapi/mman.ts";
import * as processNumbers from "../src/uapi/process.ts";
import * as sched from "../src/uapi/sched.ts";
import * as signal from "../src/uapi/signal.ts";
import * as socket from "../src/uapi/socket.ts";
import * as time from "../src/uapi/time.ts";
import { evaluate, gcc, probeConstants, probeLayouts, probeRequests } from "./c-probe.ts";

const prologue = ["#define _GNU_SOURCE"];

describe.skipIf(gcc === null)("the C headers agree (needs gcc)", () => {
  test("on the layouts of libc's structures", () => {
    const layouts = [
      Cmsghdr,
      EpollEvent,
      Itimerspec,
      Msghdr,
      PollFd,
      RlimitStruct,
      Sigaction,
      Stat,
      Timespec,
      Ucred,
    ];
    const headers = [
      "sys/socket.h",
      "sys/epoll.h",
      "sys/timerfd.h",
      "sys/resource.h",
      "sys/stat.h",
      "poll.h",
      "signal.h",
      "time.h",
    ];
    expect(probeLayouts(layouts, { headers, prologue })).toEqual([]);
  });

  test.each([
    ["fcntl", fcntl, ["fcntl.h", "sys/file.h", "sys/stat.h", "unistd.h"], []],
    [
      "mman",
      mman,
      ["sys/mman.h", "linux/mman.h", "linux/memfd.h", "linux/fcntl.h"],
      ["MADV_COLLAPSE", "MFD_NOEXEC_SEAL", "MFD_EXEC", "F_SEAL_EXEC"],
    ],
    ["socket", socket, ["sys/socket.h"], []],
    ["sched", sched, ["sched.h", "linux/sched.h", "sys/resource.h"], []],
    ["signal", signal, ["signal.h"], []],
    ["event", event, ["sys/epoll.h", "sys/eventfd.h", "sys/timerfd.h", "poll.h"], []],
    ["time", time, ["time.h"], []],
    ["process", processNumbers, ["sched.h", "sys/wait.h", "sys/prctl.h", "sys/syscall.h"], []],
    ["errno", E, ["errno.h"], []],
  ])("on the numbers of %s", (_, numbers, headers, newer) => {
    expect(probeConstants({ ...numbers }, { headers, newer, prologue })).toEqual([]);
  });

  test("on the numbers of resource limits", () => {
    const numbers = Object.fromEntries(Object.entries(RLIMIT).map(([name, n]) => [`RLIMIT_${name}`, n]));
    expect(probeConstants(numbers, { headers: ["sys/resource.h"], prologue })).toEqual([]);
  });

  test("that every error number of errno.h has its name here", () => {
    const defined = Bun.spawnSync([gcc as string, "-E", "-dM", "-include", "errno.h", "-"], { stdin: null });
    const names = [...defined.stdout.toString().matchAll(/^#define (E[A-Z0-9]+) \w+$/gm)].map((m) => m[1]);
    expect(names.length).toBeGreaterThan(100);
    expect(names.filter((name) => !((name as string) in E))).toEqual([]);
  });

  test("on request numbers of every direction", () => {
    const requests = [
      _IO("BLKDISCARDZEROES", 0x12, 124),
      _IOR("TIOCGPTN", 0x54, 0x30, u32),
      _IOW("TIOCSPTLCK", 0x54, 0x31, i32),
      _IOR("BLKGETSIZE64", 0x12, 114, u64),
      _IOWR("FIFREEZE", 0x58, 119, i32),
    ];
    expect(probeRequests(requests, ["asm/ioctls.h", "linux/fs.h"])).toEqual([]);
  });
});

describe.skipIf(gcc === null)("the probe itself (needs gcc)", () => {
  const headers = ["time.h", "errno.h"];

  test("tells a wrong offset, a wrong size and an unknown field apart", () => {
    const wrong = struct("timespec", { tv_sec: i32, tv_nsec: i32, tv_extra: i32 });
    expect(probeLayouts([wrong], { headers })).toEqual([
      "size of timespec: 12 here, 16 in C",
      "size of timespec.tv_sec: 4 here, 8 in C",
      "offset of timespec.tv_nsec: 4 here, 8 in C",
      "size of timespec.tv_nsec: 4 here, 8 in C",
      "offset of timespec.tv_extra: the headers do not have it",
      "size of timespec.tv_extra: the headers do not have it",
    ]);
  });

  test("lets older headers lack what is said to be newer", () => {
    const ours = struct("timespec", { tv_sec: i64, tv_nsec: i64, tv_extra: bytes(0) });
    expect(probeLayouts([ours], { headers, newer: ["timespec.tv_extra"] })).toEqual([]);
  });

  test("maps names, and finds a wrong number", () => {
    const ours = struct("my_time", { seconds: i64, ns: i64 });
    const cNames = { my_time: { type: "struct timespec", fields: { seconds: "tv_sec", ns: "tv_nsec" } } };
    expect(probeLayouts([ours], { headers, cNames })).toEqual([]);
    expect(probeConstants({ EPERM: 2, ENOENT: 2 }, { headers })).toEqual(["EPERM: 2 here, 1 in C"]);
  });

  test("finds nothing where the header is missing", () => {
    const ours = { EPERM: 1 };
    expect(probeConstants(ours, { headers: ["no/such.h"] })).toEqual(["EPERM: the headers do not have it"]);
    expect(probeConstants(ours, { headers: ["no/such.h"], newer: true })).toEqual([]);
  });
});

const scalars: [string, FieldType<number> | FieldType<bigint>][] = [
  ["unsigned char", u8],
  ["signed char", i8],
  ["unsigned short", u16],
  ["short", i16],
  ["unsigned int", u32],
  ["int", i32],
  ["unsigned long", u64],
  ["long", i64],
];

/** A member: its C type, its C array suffix, and our type. */
const member = fc.tuple(fc.constantFrom(...scalars), fc.integer({ min: 0, max: 5 })).map(([[c, type], n]) => {
  if (n === 0) return { c, suffix: "", type: type as FieldType<unknown> };
  return {
    c,
    suffix: `[${n}]`,
    type: (type === u8 ? bytes(n) : array(type as FieldType<unknown>, n)) as never,
  };
});

test.skipIf(gcc === null)("structures of random fields lie as gcc lays them out (needs gcc)", () => {
  const samples = fc.sample(fc.tuple(fc.boolean(), fc.array(member, { minLength: 1, maxLength: 12 })), {
    numRuns: 150,
    seed: 20260,
  });
  const declarations: string[] = [];
  const layouts = samples.map(([packed, members], i) => {
    const body = members.map((m, j) => `${m.c} f${j}${m.suffix};`).join(" ");
    declarations.push(`struct s${i} { ${body} }${packed ? " __attribute__((packed))" : ""};`);
    const fields = Object.fromEntries(members.map((m, j) => [`f${j}`, m.type]));
    return struct(`s${i}`, fields, { packed });
  });
  // Each structure as a field of another, behind a char: nesting takes over its alignment.
  const nested = layouts.map((inner, i) => {
    declarations.push(`struct n${i} { char a; struct s${i} b; };`);
    return struct(`n${i}`, { a: u8, b: inner.type as FieldType<unknown> });
  });
  expect(probeLayouts([...layouts, ...nested], { headers: [], prologue: declarations })).toEqual([]);
});

test.skipIf(gcc === null)("random requests are numbered as asm/ioctl.h does (needs gcc)", () => {
  const parts = fc.tuple(fc.nat(255), fc.nat(255), fc.integer({ min: 1, max: (1 << 14) - 1 }));
  const samples = fc.sample(parts, { numRuns: 50, seed: 7 });
  const ours = samples.flatMap(([type, nr, size]) => [
    [`_IO(${type}, ${nr})`, _IO("x", type, nr).number] as const,
    [`_IOR(${type}, ${nr}, char[${size}])`, _IOR("x", type, nr, { size }).number] as const,
    [`_IOW(${type}, ${nr}, char[${size}])`, _IOW("x", type, nr, { size }).number] as const,
    [`_IOWR(${type}, ${nr}, char[${size}])`, _IOWR("x", type, nr, { size }).number] as const,
  ]);
  const theirs = evaluate(
    ours.map(([expression]) => expression),
    { headers: ["sys/ioctl.h"] },
  );
  expect(ours.filter(([expression, number]) => theirs.get(expression) !== BigInt(number))).toEqual([]);
});
