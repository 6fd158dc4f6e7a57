import { access, F_OK, readFile } from "@vmm/libc";

/** A small text file of /proc or /sys, trimmed; `undefined` where it is not there or not ours to read. */
export function readText(path: string): string | undefined {
  try {
    return new TextDecoder().decode(readFile(path, 1 << 20)).trim();
  } catch {
    return undefined;
  }
}

export const exists = (path: string): boolean => access(path, F_OK);

/** The names in a folder; none where it is not there. */
export function namesIn(folder: string): string[] {
  try {
    return [...new Bun.Glob("*").scanSync({ cwd: folder, onlyFiles: false, dot: true })];
  } catch {
    return [];
  }
}

/** A version such as `6.1.0-13-amd64` as [6, 1]. */
export function versionOf(text: string): [number, number] {
  const match = /(\d+)\.(\d+)/.exec(text);
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}

export function isAtLeast(version: string, major: number, minor: number): boolean {
  const [a, b] = versionOf(version);
  return a > major || (a === major && b >= minor);
}
