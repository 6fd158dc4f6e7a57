/** What the reactor's two threads say to each other. */

/** Starts the waiting. */
export interface ReactorStart {
  readonly epoll: number;
}

/** The waiting thread's messages: pairs of a watch's id and the EPOLL* bits it is ready for. */
export type ReadyMessage = Float64Array;

/** The most pairs in one message. */
export const MAX_READY = 64;

/** Not a watch: the waiting thread ends after the message that has it. */
export const STOP_ID = 0;
