import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { findBusybox } from "./busybox.ts";
import { type CpioEntry, cpioArchive, S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG } from "./cpio.ts";

/** What goes into a guest's initramfs, beside busybox. */
export interface GuestContents {
  /** The shell script that becomes /init, the guest's first process. */
  init: string;
  /** More files, by their absolute path in the guest; all are executable. */
  files?: Record<string, Uint8Array | string>;
}

/** Where init mounts things, and what it writes in. */
const FOLDERS = ["bin", "dev", "proc", "run", "sys", "tmp"];

const text = new TextEncoder();

function folder(path: string): CpioEntry {
  return { path, mode: S_IFDIR | 0o755 };
}

function executable(path: string, data: Uint8Array | string): CpioEntry {
  return { path, mode: S_IFREG | 0o755, data: typeof data === "string" ? text.encode(data) : data };
}

/** All folders that lead to a path, outermost first. */
function parents(path: string): string[] {
  const parent = dirname(path);
  return parent === "." ? [] : [...parents(parent), parent];
}

/** Writes a gzipped initramfs: Debian's static busybox, `init`, and the files given. */
export function writeInitramfs(path: string, contents: GuestContents): void {
  const files = Object.entries(contents.files ?? {}).map(([name, data]) =>
    executable(name.replace(/^\/+/, ""), data),
  );
  const folders = new Set([...FOLDERS, ...files.flatMap((file) => parents(file.path))]);
  const archive = cpioArchive([
    ...[...folders].map(folder),
    // init's stdio, before it mounts a devtmpfs.
    { path: "dev/console", mode: S_IFCHR | 0o600, device: [5, 1] },
    executable("bin/busybox", readFileSync(findBusybox())),
    { path: "bin/sh", mode: S_IFLNK | 0o777, data: text.encode("busybox") },
    executable("init", contents.init),
    ...files,
  ]);
  writeFileSync(path, Bun.gzipSync(archive));
}

/**
 * The init script of the guest that the tests update: it counts seconds, watches over a secret that it
 * holds in RAM, and runs what is typed on ttyS0. `linux-guest-init` says what it prints.
 */
export function linuxGuestInit(): string {
  return readFileSync(join(import.meta.dirname, "linux-guest-init"), "utf8");
}
