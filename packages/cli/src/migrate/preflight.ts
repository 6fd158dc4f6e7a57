/** What a new command says of whether it could take over, as QMP's x-cpr-preflight gives it. */
export interface PreflightReport {
  readonly ok: boolean;
  /** Of the program that answered; empty where none did. */
  readonly version: string;
  readonly blocks: readonly { readonly what: string; readonly reason: string }[];
  readonly warnings: readonly string[];
}

export function preflightLines({ ok, version, blocks, warnings }: PreflightReport): string[] {
  const by = version ? ` (version ${version})` : "";
  return [
    ok ? `The new command could take over${by}.` : `The new command could not take over${by}:`,
    ...blocks.map(({ what, reason }) => `  ${what}: ${reason}`),
    ...warnings.map((warning) => `  warning: ${warning}`),
  ];
}
