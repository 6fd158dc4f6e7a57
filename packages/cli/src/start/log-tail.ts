import { readFile } from "@vmm/libc";

const MAX_LENGTH = 500;

/** The line of a log that says best why a process died: its first error, else its last word. Empty where there is none. */
export function reasonInLog(path: string): string {
  let text: string;
  try {
    text = new TextDecoder().decode(readFile(path));
  } catch {
    return "";
  }
  // Bun signs its reports of what was thrown and not caught.
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !/^Bun v\d/.test(line));
  const error = lines.find((line) => /^(vmm|\w*error|panic\b.*): /i.test(line));
  return (error ?? lines.at(-1) ?? "").slice(0, MAX_LENGTH);
}
