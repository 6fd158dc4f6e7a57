/** What /proc says of a process (proc(5)). */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * The path by which the file behind a process's mapping or fd can be opened: `/proc/PID/fd/N` of the first fd whose link
 * begins so, such as `/memfd:ram0`.
 */
export function findFd(pid: number, link: string): string | undefined {
  const folder = `/proc/${pid}/fd`;
  for (const fd of readdirSync(folder)) {
    try {
      const target = readlinkSync(`${folder}/${fd}`);
      if (target === link || target === `${link} (deleted)`) return `${folder}/${fd}`;
    } catch {
      // closed meanwhile
    }
  }
  return undefined;
}

export interface Residency {
  /** Bytes of all mappings but those left out. */
  readonly rss: number;
  /** Bytes of those left out. */
  readonly excluded: number;
}

/** The resident memory of a process by `/proc/PID/smaps`, with the mappings of one file left out. */
export function residency(smaps: string, excludedFile: string): Residency {
  let rss = 0;
  let excluded = 0;
  let isExcluded = false;
  for (const line of smaps.split("\n")) {
    // ADDRESS-ADDRESS PERMISSIONS OFFSET DEVICE INODE PATH
    const mapping = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)$/.exec(line);
    if (mapping) {
      isExcluded = mapping[1] === excludedFile || mapping[1] === `${excludedFile} (deleted)`;
      continue;
    }
    const kib = /^Rss: +(\d+) kB$/.exec(line);
    if (!kib) continue;
    if (isExcluded) excluded += Number(kib[1]) * 1024;
    else rss += Number(kib[1]) * 1024;
  }
  return { rss, excluded };
}

export const residencyOf = (pid: number, excludedFile: string): Residency =>
  residency(readFileSync(`/proc/${pid}/smaps`, "utf8"), excludedFile);
