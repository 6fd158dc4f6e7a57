/**
 * The one table of libc functions that this package calls. It is opened once per thread, when this module loads: about
 * 0.5 ms, paid once.
 *
 * Needs glibc 2.34 or later (pthreads, dlsym and fstat live in `libc.so.6` since then). Variadic functions (open, ioctl,
 * fcntl, prctl, syscall) are declared with the arguments that we pass, which the x86-64 calling convention allows.
 */
import { dlopen, type FFIFunction } from "bun:ffi";

/**
 * What may stand for a pointer: a view (its address during the call), an address, or null.
 *
 * An address that the kernel keeps beyond the call must not come from a small view: those move. See `addressOf`.
 */
export type Memory = ArrayBufferView | number | bigint | null;

const i32 = "i32";
const u32 = "u32";
const ptr = "ptr";
const size = "u64_fast";
// Numbers where they fit in 2^53, as all lengths, offsets and addresses do; -1 for MAP_FAILED.
const i64 = "i64_fast";
const str = "cstring";

const table = {
  __errno_location: { args: [], returns: ptr },
  strerror: { args: [i32], returns: str },
  dlsym: { args: [ptr, str], returns: i64 },
  syscall: { args: [i64, i64, i64, i64, i64, i64, i64], returns: i64 },

  open: { args: [str, i32, u32], returns: i32 },
  close: { args: [i32], returns: i32 },
  pipe2: { args: [ptr, i32], returns: i32 },
  dup3: { args: [i32, i32, i32], returns: i32 },
  fcntl: { args: [i32, i32, ptr], returns: i32 },
  flock: { args: [i32, i32], returns: i32 },
  ioctl: { args: [i32, size, ptr], returns: i32 },
  read: { args: [i32, ptr, size], returns: i64 },
  write: { args: [i32, ptr, size], returns: i64 },
  pread: { args: [i32, ptr, size, i64], returns: i64 },
  pwrite: { args: [i32, ptr, size, i64], returns: i64 },
  preadv: { args: [i32, ptr, i32, i64], returns: i64 },
  pwritev: { args: [i32, ptr, i32, i64], returns: i64 },
  ftruncate: { args: [i32, i64], returns: i32 },
  lseek: { args: [i32, i64, i32], returns: i64 },
  fstat: { args: [i32, ptr], returns: i32 },
  futimens: { args: [i32, ptr], returns: i32 },
  fchmod: { args: [i32, u32], returns: i32 },
  readlink: { args: [str, ptr, size], returns: i64 },
  getdents64: { args: [i32, ptr, size], returns: i64 },
  access: { args: [str, i32], returns: i32 },
  mkdir: { args: [str, u32], returns: i32 },
  rmdir: { args: [str], returns: i32 },
  unlink: { args: [str], returns: i32 },
  unlinkat: { args: [i32, str, i32], returns: i32 },
  rename: { args: [str, str], returns: i32 },
  fchdir: { args: [i32], returns: i32 },
  getcwd: { args: [ptr, size], returns: i64 },
  umask: { args: [u32], returns: u32 },

  mmap: { args: [ptr, size, i32, i32, i32, i64], returns: i64 },
  munmap: { args: [ptr, size], returns: i32 },
  madvise: { args: [ptr, size, i32], returns: i32 },
  mprotect: { args: [ptr, size, i32], returns: i32 },
  memfd_create: { args: [str, u32], returns: i32 },

  eventfd: { args: [u32, i32], returns: i32 },
  epoll_create1: { args: [i32], returns: i32 },
  epoll_ctl: { args: [i32, i32, i32, ptr], returns: i32 },
  epoll_wait: { args: [i32, ptr, i32, i32], returns: i32 },
  poll: { args: [ptr, size, i32], returns: i32 },
  ppoll: { args: [ptr, size, ptr, ptr], returns: i32 },
  timerfd_create: { args: [i32, i32], returns: i32 },
  timerfd_settime: { args: [i32, i32, ptr, ptr], returns: i32 },
  timerfd_gettime: { args: [i32, ptr], returns: i32 },
  usleep: { args: [u32], returns: i32 },
  clock_gettime: { args: [i32, ptr], returns: i32 },

  pthread_sigmask: { args: [i32, ptr, ptr], returns: i32 },
  sigtimedwait: { args: [ptr, ptr, ptr], returns: i32 },
  sigaction: { args: [i32, ptr, ptr], returns: i32 },
  sched_getscheduler: { args: [i32], returns: i32 },
  sched_setscheduler: { args: [i32, i32, ptr], returns: i32 },
  sched_getcpu: { args: [], returns: i32 },
  sched_getaffinity: { args: [i32, size, ptr], returns: i32 },
  sched_setaffinity: { args: [i32, size, ptr], returns: i32 },
  getpriority: { args: [i32, u32], returns: i32 },
  setpriority: { args: [i32, u32, i32], returns: i32 },
  kill: { args: [i32, i32], returns: i32 },
  tgkill: { args: [i32, i32, i32], returns: i32 },

  getpid: { args: [], returns: i32 },
  gettid: { args: [], returns: i32 },
  getppid: { args: [], returns: i32 },
  setsid: { args: [], returns: i32 },
  execve: { args: [str, ptr, ptr], returns: i32 },
  execveat: { args: [i32, str, ptr, ptr, i32], returns: i32 },
  clone: { args: [ptr, ptr, i32, ptr], returns: i32 },
  waitpid: { args: [i32, ptr, i32], returns: i32 },
  prctl: { args: [i32, i64, i64, i64, i64], returns: i32 },
  getrlimit: { args: [i32, ptr], returns: i32 },
  setrlimit: { args: [i32, ptr], returns: i32 },

  pthread_create: { args: [ptr, ptr, ptr, ptr], returns: i32 },
  pthread_join: { args: [ptr, ptr], returns: i32 },
  pthread_kill: { args: [ptr, i32], returns: i32 },

  socket: { args: [i32, i32, i32], returns: i32 },
  socketpair: { args: [i32, i32, i32, ptr], returns: i32 },
  bind: { args: [i32, ptr, u32], returns: i32 },
  listen: { args: [i32, i32], returns: i32 },
  accept4: { args: [i32, ptr, ptr, i32], returns: i32 },
  connect: { args: [i32, ptr, u32], returns: i32 },
  sendmsg: { args: [i32, ptr, i32], returns: i64 },
  recvmsg: { args: [i32, ptr, i32], returns: i64 },
  shutdown: { args: [i32, i32], returns: i32 },
  getsockopt: { args: [i32, i32, i32, ptr, ptr], returns: i32 },
  setsockopt: { args: [i32, i32, i32, ptr, u32], returns: i32 },
} as const;

type Argument<T> = T extends "ptr" ? Memory : T extends "cstring" ? string : number | bigint;
type Arguments<A extends readonly unknown[]> = { -readonly [I in keyof A]: Argument<A[I]> };
type Result<T> = T extends "cstring" ? string : number;
type Functions = {
  readonly [K in keyof typeof table]: (
    ...args: Arguments<(typeof table)[K]["args"]>
  ) => Result<(typeof table)[K]["returns"]>;
};

/** libc's functions, unchecked: callers look at the result and at `errno()`. */
export const libc = dlopen("libc.so.6", table as unknown as Record<string, FFIFunction>)
  .symbols as unknown as Functions;
