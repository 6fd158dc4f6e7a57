/** Terminals: `asm-generic/termbits.h`, `asm-generic/ioctls.h`. */
import { bytes, type IoctlRequest, struct, u8, u32 } from "@vmm/libc";

/** NCCS of the kernel's struct; glibc's is larger. */
const NCCS = 19;

/** The kernel's `struct termios`. */
export const Termios = struct("termios", {
  c_iflag: u32,
  c_oflag: u32,
  c_cflag: u32,
  c_lflag: u32,
  c_line: u8,
  c_cc: bytes(NCCS),
});

// These requests are older than the encoding of direction and size, but for those of the pty driver.
export const TCGETS: IoctlRequest = { name: "TCGETS", number: 0x5401 };
export const TCSETS: IoctlRequest = { name: "TCSETS", number: 0x5402 };
/** Opens the other end of a pty; the argument is O_* flags. */
export const TIOCGPTPEER: IoctlRequest = { name: "TIOCGPTPEER", number: 0x5441 };
/** The number N of /dev/pts/N. */
export const TIOCGPTN: IoctlRequest = { name: "TIOCGPTN", number: 0x80045430 };
/** Locks (1) or unlocks (0) the other end. */
export const TIOCSPTLCK: IoctlRequest = { name: "TIOCSPTLCK", number: 0x40045431 };

// c_iflag
export const IGNBRK = 0o1;
export const BRKINT = 0o2;
export const PARMRK = 0o10;
export const ISTRIP = 0o40;
export const INLCR = 0o100;
export const IGNCR = 0o200;
export const ICRNL = 0o400;
export const IXON = 0o2000;

// c_oflag
export const OPOST = 0o1;

// c_cflag
export const CSIZE = 0o60;
export const CS8 = 0o60;
export const PARENB = 0o400;

// c_lflag
export const ISIG = 0o1;
export const ICANON = 0o2;
export const ECHO = 0o10;
export const ECHONL = 0o100;
export const IEXTEN = 0o100000;

// c_cc
export const VTIME = 5;
export const VMIN = 6;
