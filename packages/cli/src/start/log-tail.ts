import { readFile } from "@vmm/libc";

/** The last line of a VM's log that says something; empty where there is none. */
export function lastLine(path: string): string {
  try {
    const text = new TextDecoder().decode(readFile(path)).trimEnd();
    return text.slice(text.lastIndexOf("\n") + 1).slice(0, 500);
  } catch {
    return "";
  }
}
