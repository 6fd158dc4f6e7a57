/** Numbers of `sched.h` (`linux/sched.h`) and of `sys/resource.h`. */

export const PRIO_PROCESS = 0;
export const PRIO_PGRP = 1;

export const SCHED_OTHER = 0;
export const SCHED_FIFO = 1;
export const SCHED_RR = 2;
export const SCHED_BATCH = 3;
export const SCHED_IDLE = 5;
/** Children and new threads begin with the ordinary policy. */
export const SCHED_RESET_ON_FORK = 0x40000000;
