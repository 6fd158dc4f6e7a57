import { close, ioctl, O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDWR, open } from "@vmm/libc";
import { rawSettings, setTtySettings, ttySettings } from "./tty.ts";
import { TIOCGPTN, TIOCGPTPEER, TIOCSPTLCK } from "./uapi/tty.ts";

/** The other end of a pty, such as `/dev/pts/3`. */
export function ptyPath(master: number): string {
  const number = new Uint32Array(1);
  ioctl(master, TIOCGPTN, number);
  return `/dev/pts/${number[0]}`;
}

/**
 * The master of a new pty, non-blocking. Its other end is raw, and has been opened and closed once: only then does the
 * master tell of hang-ups.
 */
export function openPty(): number {
  const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  const master = open("/dev/ptmx", flags | O_NONBLOCK);
  try {
    ioctl(master, TIOCSPTLCK, new Int32Array(1));
    const peer = ioctl(master, TIOCGPTPEER, flags);
    try {
      const settings = ttySettings(peer);
      if (settings) setTtySettings(peer, rawSettings(settings, { signals: false, outputProcessing: false }));
    } finally {
      close(peer);
    }
    return master;
  } catch (error) {
    close(master);
    throw error;
  }
}
