import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { LabError } from "./errors.ts";

/** Debian's busybox-static. The lab's init names this path in its first line. */
const BUSYBOX = "/bin/busybox";

// From the ELF specification: e_phoff, e_phentsize and e_phnum of a 64-bit header, and PT_INTERP.
const E_PHOFF = 0x20;
const E_PHENTSIZE = 0x36;
const E_PHNUM = 0x38;
const PT_INTERP = 3;

/** Whether an ELF file asks for a dynamic loader, which an initramfs of ours does not have. */
function isDynamic(path: string): boolean {
  const head = Buffer.alloc(4096);
  const fd = openSync(path, "r");
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  const table = Number(head.readBigUInt64LE(E_PHOFF));
  const entrySize = head.readUInt16LE(E_PHENTSIZE);
  const types = Array.from({ length: head.readUInt16LE(E_PHNUM) }, (_, i) =>
    head.readUInt32LE(table + i * entrySize),
  );
  return types.includes(PT_INTERP);
}

/**
 * The static busybox: the user land of the guests, and what the lab's own init runs on.
 *
 * @returns its absolute path
 */
export function findBusybox(): string {
  if (!existsSync(BUSYBOX)) {
    throw new LabError("unavailable", `no ${BUSYBOX}: tests/lab/setup installs it`);
  }
  if (isDynamic(BUSYBOX)) {
    throw new LabError(
      "unavailable",
      `${BUSYBOX} is not static: install Debian's busybox-static, as tests/lab/setup does`,
    );
  }
  return BUSYBOX;
}
