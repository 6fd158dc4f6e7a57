/** A version as `query-version` and the greeting give it. The member `qemu` is QMP's; the numbers are ours. */
export function versionInfo(version: string) {
  const [major = 0, minor = 0, micro = 0] = version
    .split(/[.+-]/)
    .map((part) => Number.parseInt(part, 10) || 0);
  return { qemu: { major, minor, micro }, package: `vmm ${version}` };
}
