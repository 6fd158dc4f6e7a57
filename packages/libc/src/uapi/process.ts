/** Numbers of `linux/sched.h`, `linux/wait.h`, `linux/prctl.h` and `linux/pidfd.h` on x86-64. */

// clone(2)

export const CLONE_VM = 0x100;
export const CLONE_FS = 0x200;
export const CLONE_FILES = 0x400;
export const CLONE_SIGHAND = 0x800;
export const CLONE_PIDFD = 0x1000;
export const CLONE_VFORK = 0x4000;
export const CLONE_PARENT = 0x8000;
export const CLONE_THREAD = 0x10000;
export const CLONE_SETTLS = 0x80000;
export const CLONE_PARENT_SETTID = 0x100000;
export const CLONE_CHILD_CLEARTID = 0x200000;
export const CLONE_CHILD_SETTID = 0x1000000;

// waitpid(2)

export const WNOHANG = 1;
export const WUNTRACED = 2;
export const WCONTINUED = 8;
export const __WALL = 0x40000000;
export const __WCLONE = 0x80000000;

// prctl(2)

export const PR_SET_PDEATHSIG = 1;
export const PR_GET_PDEATHSIG = 2;
export const PR_GET_DUMPABLE = 3;
export const PR_SET_DUMPABLE = 4;
export const PR_SET_NAME = 0xf;
export const PR_GET_NAME = 0x10;
export const PR_SET_TIMERSLACK = 0x1d;
export const PR_GET_TIMERSLACK = 0x1e;
export const PR_SET_CHILD_SUBREAPER = 0x24;
export const PR_GET_CHILD_SUBREAPER = 0x25;
export const PR_SET_NO_NEW_PRIVS = 0x26;
export const PR_GET_NO_NEW_PRIVS = 0x27;
export const PR_SET_THP_DISABLE = 0x29;
export const PR_GET_THP_DISABLE = 0x2a;
export const PR_SET_PTRACER = 0x59616d61;

// system calls that glibc 2.34 has no wrapper for

export const SYS_pidfd_send_signal = 424;
export const SYS_pidfd_open = 434;
export const SYS_pidfd_getfd = 438;
