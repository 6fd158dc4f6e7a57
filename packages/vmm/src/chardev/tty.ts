/** Raw mode: characters pass as they are typed, unchanged and without echo. */
import { type Backing, ioctl, SyscallError } from "@vmm/libc";
import {
  BRKINT,
  CS8,
  CSIZE,
  ECHO,
  ECHONL,
  ICANON,
  ICRNL,
  IEXTEN,
  IGNBRK,
  IGNCR,
  INLCR,
  ISIG,
  ISTRIP,
  IXON,
  OPOST,
  PARENB,
  PARMRK,
  TCGETS,
  TCSETS,
  Termios,
  VMIN,
  VTIME,
} from "./uapi/tty.ts";

const IFLAGS = IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON;
const LFLAGS = ECHO | ECHONL | ICANON | IEXTEN;

/** A terminal's settings. */
export type TtySettings = Backing & ReturnType<typeof Termios.alloc>;

/** The settings of a terminal; `undefined` where the fd is none. */
export function ttySettings(fd: number): TtySettings | undefined {
  const settings = Termios.alloc();
  try {
    ioctl(fd, TCGETS, settings);
    return settings;
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

export function setTtySettings(fd: number, settings: TtySettings): void {
  ioctl(fd, TCSETS, settings);
}

export interface RawMode {
  /** Ctrl-C and its like still send signals. */
  readonly signals: boolean;
  /** Output is still processed: a newline alone goes to the first column. */
  readonly outputProcessing: boolean;
}

/** The settings of raw mode, made from those in force. */
export function rawSettings(from: TtySettings, mode: RawMode): TtySettings {
  const raw = Termios.at(from.$bytes.slice().buffer);
  raw.c_iflag &= ~IFLAGS;
  raw.c_oflag = mode.outputProcessing ? raw.c_oflag | OPOST : raw.c_oflag & ~OPOST;
  raw.c_lflag &= ~(LFLAGS | (mode.signals ? 0 : ISIG));
  raw.c_cflag = (raw.c_cflag & ~(CSIZE | PARENB)) | CS8;
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  return raw;
}
