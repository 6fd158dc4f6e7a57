import type { ChardevConfig } from "../config/vm-config.ts";
import { ConsoleChardev } from "./backends/console.ts";
import { FileChardev } from "./backends/file.ts";
import { NullChardev } from "./backends/null.ts";
import { PtyChardev } from "./backends/pty.ts";
import { StdioChardev } from "./backends/stdio.ts";
import { UnixChardev } from "./backends/unix.ts";
import type { CharRing } from "./char-ring.ts";
import type { Chardev, ChardevContext } from "./chardev.ts";

/**
 * Makes the host side of a chardev, with the fds that a live update carried over where there are some. Nothing is read
 * or written before `start`.
 *
 * @throws VmmError `chardev`, or SyscallError.
 */
export function openChardev(config: ChardevConfig, ring: CharRing, context: ChardevContext): Chardev {
  switch (config.backend) {
    case "console":
      return new ConsoleChardev(ring, context);
    case "stdio":
      return new StdioChardev(ring, context);
    case "file":
      return new FileChardev(ring, context, config.path);
    case "unix":
      return new UnixChardev(ring, context, config.path);
    case "pty":
      return new PtyChardev(ring, context);
    case "null":
      return new NullChardev(ring, context);
  }
}
