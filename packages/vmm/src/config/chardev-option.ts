/** Where a serial port goes, as `--serial` gives it: `console`, `stdio`, `file:PATH`, `unix:PATH`, `pty`, `none`. */
import { MAX_SOCKET_PATH } from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";
import type { ChardevConfig } from "./vm-config.ts";

/** @param id The chardev's id, such as `serial0`. @throws VmmError `config`. */
export function parseChardevOption(text: string, id: string): ChardevConfig {
  const fail = (problem: string) => new VmmError("config", `--serial: ${problem}`);
  const colon = text.indexOf(":");
  const kind = colon === -1 ? text : text.slice(0, colon);
  const path = colon === -1 ? "" : text.slice(colon + 1);
  switch (kind) {
    case "file":
    case "unix":
      if (path === "") throw fail(`${kind} needs a path, as in ${kind}:/tmp/serial`);
      return { id, backend: kind, path };
    case "console":
    case "stdio":
    case "pty":
    case "none":
      if (colon !== -1) throw fail(`${kind} takes no path`);
      return { id, backend: kind === "none" ? "null" : kind };
    default:
      throw fail(`"${text}" is not one of console, stdio, file:PATH, unix:PATH, pty, none`);
  }
}

/** @throws VmmError `config` where the path is too long for a socket (sun_path of `linux/un.h`). */
export function checkSocketPath(path: string): string {
  const length = Buffer.byteLength(path);
  if (length <= MAX_SOCKET_PATH) return path;
  const rule = `${length} bytes, and a socket's path has at most ${MAX_SOCKET_PATH}`;
  throw new VmmError("config", `the socket path ${path} is too long: ${rule}; use a shorter name or folder`);
}
