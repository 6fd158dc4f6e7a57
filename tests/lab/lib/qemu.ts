import { LabError } from "./errors.ts";

/** With QEMU 7.2 a Linux guest under nested KVM crashes early; with 10.0 it runs. */
const MINIMUM_MAJOR = 10;

const REMEDY = "tests/lab/setup installs it";

/** Takes the major version out of what `qemu-system-x86_64 --version` prints. */
function majorVersion(text: string): number | undefined {
  const match = /^QEMU emulator version (\d+)\./.exec(text);
  return match ? Number(match[1]) : undefined;
}

/**
 * QEMU for the box, in a version that emulates SVM well enough for a Linux guest.
 *
 * @returns its absolute path
 */
export function findQemu(): string {
  const path = Bun.which("qemu-system-x86_64");
  if (!path) throw new LabError("unavailable", `no qemu-system-x86_64 on the PATH: ${REMEDY}`);
  const { stdout } = Bun.spawnSync([path, "--version"], { stderr: "ignore", timeout: 10_000 });
  const major = majorVersion(stdout.toString());
  if (major === undefined || major < MINIMUM_MAJOR) {
    const is = major === undefined ? "does not tell its version" : `is version ${major}`;
    throw new LabError("unavailable", `${path} ${is}, the lab needs ${MINIMUM_MAJOR} or newer: ${REMEDY}`);
  }
  return path;
}
