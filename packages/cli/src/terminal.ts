/**
 * The terminal at the other end of an fd, by ioctl: `process.stdout` and `process.stdin` would do too, but to touch one of
 * them costs 9 ms and makes the terminal non-blocking for every other program that has it open.
 */
import { array, ioctl, struct, u8, u16, u32 } from "@vmm/libc";

/** `struct ktermios` of the kernel's interface (`asm-generic/termbits.h`). */
export const Termios = struct("termios", {
  c_iflag: u32,
  c_oflag: u32,
  c_cflag: u32,
  c_lflag: u32,
  c_line: u8,
  c_cc: array(u8, 19),
});

/** `struct winsize` (`asm-generic/termios.h`). */
export const Winsize = struct("winsize", { ws_row: u16, ws_col: u16, ws_xpixel: u16, ws_ypixel: u16 });

/** Requests of `asm-generic/ioctls.h`, which are older than the encoding of sizes. */
const TCGETS = { name: "TCGETS", number: 0x5401 };
const TCSETSW = { name: "TCSETSW", number: 0x5403 };
const TIOCGWINSZ = { name: "TIOCGWINSZ", number: 0x5413 };

/** Input flags that translate what is typed: BRKINT, ICRNL, INLCR, IGNCR, ISTRIP, IXON. */
const INPUT_FLAGS = 0o2 | 0o400 | 0o100 | 0o200 | 0o40 | 0o2000;
/** OPOST: output is changed on its way. The guest's is not to be. */
const OUTPUT_FLAGS = 0o1;
/** Local flags: ISIG, ICANON, ECHO, ECHONL, IEXTEN. */
const LOCAL_FLAGS = 0o1 | 0o2 | 0o10 | 0o100 | 0o100000;
const VTIME = 5;
const VMIN = 6;

export function isTerminal(fd: number): boolean {
  try {
    ioctl(fd, TCGETS, Termios.alloc());
    return true;
  } catch {
    return false;
  }
}

/** The terminal's width in columns; `undefined` where there is no terminal, or it does not know. */
export function columnsOf(fd: number): number | undefined {
  const size = Winsize.alloc();
  try {
    ioctl(fd, TIOCGWINSZ, size);
  } catch {
    return undefined;
  }
  return size.ws_col || undefined;
}

/**
 * Hands every key to the program as it is typed, and its output to the terminal as it is.
 *
 * @returns What makes the terminal as it was.
 */
export function rawMode(fd: number): () => void {
  const before = Termios.alloc();
  ioctl(fd, TCGETS, before);
  const raw = Termios.alloc();
  raw.$bytes.set(before.$bytes);
  raw.c_iflag &= ~INPUT_FLAGS;
  raw.c_oflag &= ~OUTPUT_FLAGS;
  raw.c_lflag &= ~LOCAL_FLAGS;
  raw.c_cc.set(VMIN, 1);
  raw.c_cc.set(VTIME, 0);
  ioctl(fd, TCSETSW, raw);
  return () => void ioctl(fd, TCSETSW, before);
}
