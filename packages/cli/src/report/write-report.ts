/** Reports as files. */
import { accessSync, constants, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CliError, reasonOf, UsageError } from "../cli-error.ts";
import type { SoakReportData, UpdateReportData } from "./data.ts";
import { renderSoakReport } from "./soak-report.ts";
import { renderUpdateReport } from "./update-report.ts";

/**
 * Checks that a report could be written, before anything is done that it is to report.
 *
 * @throws UsageError
 */
export function checkReportPath(path: string): void {
  if (path === "") throw new UsageError("--report needs the name of a file");
  try {
    accessSync(dirname(resolve(path)), constants.W_OK);
  } catch {
    throw new UsageError(`--report ${path}: its folder does not exist, or cannot be written to`);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError(`--report ${path}: that is a folder`);
  }
}

/** The file appears at once and whole, or not at all. @throws CliError */
function write(path: string, page: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, page);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new CliError(`cannot write the report ${path}: ${reasonOf(error)}`);
  }
}

/** Writes the report of one update. @throws CliError */
export function writeReport(path: string, data: UpdateReportData): void {
  write(path, renderUpdateReport(data));
}

/** Writes the report of a soak. @throws CliError */
export function writeSoakReport(path: string, data: SoakReportData): void {
  write(path, renderSoakReport(data));
}
