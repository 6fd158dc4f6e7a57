/** A file system that is soon full. */
import { mkdirSync, readdirSync, rmdirSync } from "node:fs";

/** Less than the state of the smallest machine. */
const SIZE = "16k";

export interface SmallDisk {
  readonly path: string;
  /** Takes it away. @throws where there is anything on it. */
  unmount(): void;
}

function run(...words: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(words);
  if (exitCode !== 0) throw new Error(`${words[0]}: ${stderr.toString().trim()}`);
}

export function smallDisk(path: string): SmallDisk {
  mkdirSync(path);
  run("mount", "-t", "tmpfs", "-o", `size=${SIZE}`, "none", path);
  return {
    path,
    unmount() {
      const left = readdirSync(path);
      run("umount", path);
      rmdirSync(path);
      if (left.length > 0) throw new Error(`left over (files): ${left.join(", ")}`);
    },
  };
}

/** Why there cannot be such a disk here, if so. */
export function diskFullSkip(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can mount a small disk";
  const { exitCode } = Bun.spawnSync(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]);
  return exitCode === 0 ? undefined : "this machine lets nobody mount a disk";
}
