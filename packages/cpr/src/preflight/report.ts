/** What a new command says of whether it could take over. */
import { CprError } from "../cpr-error.ts";
import { JsonChecker } from "../json-check.ts";

/** Something that stands in the way. */
export interface PreflightBlock {
  /** What it is about, such as a record's or an fd's name. */
  readonly what: string;
  readonly reason: string;
}

export interface PreflightReport {
  readonly ok: boolean;
  /** The version of the program that answered; empty where none did. */
  readonly version: string;
  readonly blocks: readonly PreflightBlock[];
  readonly warnings: readonly string[];
}

/** The largest report in bytes. */
export const MAX_REPORT = 1 << 20;
const MAX_ENTRIES = 1000;
const MAX_TEXT = 4096;

const check = new JsonChecker("preflight", "the report");

/**
 * Reads a report from a program that may be anything.
 *
 * @throws CprError `preflight` where it makes no sense, with the part that does not.
 */
export function parseReport(bytes: Uint8Array): PreflightReport {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CprError("preflight", "the report is not JSON", { cause });
  }
  const report = check.object(json, "the whole");
  const blocks = check.array(report.blocks, "blocks", MAX_ENTRIES).map((value, i): PreflightBlock => {
    const block = check.object(value, `blocks[${i}]`);
    return {
      what: check.string(block.what, `blocks[${i}].what`, MAX_TEXT),
      reason: check.string(block.reason, `blocks[${i}].reason`, MAX_TEXT),
    };
  });
  const ok = check.boolean(report.ok, "ok");
  if (ok && blocks.length > 0) check.fail("ok", "false where something blocks");
  if (!ok && blocks.length === 0) check.fail("blocks", "given where the answer is no");
  return {
    ok,
    version: check.string(report.version, "version", 255),
    blocks,
    warnings: check
      .array(report.warnings, "warnings", MAX_ENTRIES)
      .map((text, i) => check.string(text, `warnings[${i}]`, MAX_TEXT)),
  };
}

/** A report for a command that gave none. */
export function refusal(command: readonly string[], reason: string): PreflightReport {
  return { ok: false, version: "", blocks: [{ what: command.join(" "), reason }], warnings: [] };
}

/** What blocks, in one line. */
export function describeBlocks({ blocks }: PreflightReport): string {
  return blocks.map(({ what, reason }) => `${what}: ${reason}`).join("; ");
}
