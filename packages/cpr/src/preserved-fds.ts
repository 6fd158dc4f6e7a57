/** Which fds the next program gets: those of the table, stdin, stdout and stderr, and no other. */
import { setCloexec, setCloexecFrom } from "@vmm/libc";
import { CprError } from "./cpr-error.ts";
import { faultPoint } from "./fault.ts";
import { checkPreservedFd, identifyFd, type PreservedFd } from "./fd-identity.ts";
import { FdTable } from "./fd-table.ts";

const FIRST_AFTER_STDIO = 3;

/**
 * Lets the fds of the table survive the next exec, and closes every other fd to it.
 *
 * @param also Fds that are not in the table, such as the CPR state's own.
 */
export function preserveFds(table: FdTable, also: readonly number[] = []): void {
  setCloexecFrom(FIRST_AFTER_STDIO);
  const preserve = (fd: number) => {
    faultPoint("fd");
    setCloexec(fd, false);
  };
  table.cprWalkFd(({ fd }) => preserve(fd));
  also.forEach(preserve);
}

/**
 * Gives the preserved fds back to the process they are in: from here on none is passed on to any other program. All
 * paths call this, be it before an exec that failed or after one that worked.
 */
export function givePreservedFdsBack(): void {
  setCloexecFrom(FIRST_AFTER_STDIO);
}

/** The table's fds with what each of them is. @throws CprError `fd-missing` where one is not open. */
export function describeFds(table: FdTable): PreservedFd[] {
  return table.entries().map((entry) => {
    try {
      return { ...entry, ...identifyFd(entry.fd) };
    } catch (cause) {
      const text = `fd ${entry.fd} cannot be preserved as "${entry.name}": it is not open`;
      throw new CprError("fd-missing", text, { cause });
    }
  });
}

/**
 * The table that a CPR state describes.
 *
 * @throws CprError `fd-missing` or `fd-kind` where an fd is not what it was, `fd-name` where the list makes no sense.
 */
export function adoptFds(fds: readonly PreservedFd[]): FdTable {
  const table = new FdTable();
  for (const { name, id, fd } of fds) table.saveFd(name, id, fd);
  for (const saved of fds) {
    faultPoint("check-fd");
    checkPreservedFd(saved);
  }
  return table;
}
