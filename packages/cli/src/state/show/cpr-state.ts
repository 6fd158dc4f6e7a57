/** CPR state, the manifest of an update, as lines of at most 80 columns. */
import type { CprState } from "@vmm/cpr";
import { plain, table, WIDTH } from "../../command/text.ts";
import { formatDuration } from "../format/time.ts";
import { INDENT, nameRows, wrapWords } from "./layout.ts";

function mainText({ main }: CprState): string {
  if (main.type === "memfd") return "in the fd cpr:main";
  return `in ${main.path}${main.offset > 0 ? `, from byte ${main.offset} on` : ""}`;
}

function childrenText({ children }: CprState): string {
  const parts = Object.entries(children).map(([name, pid]) => `${name} ${pid}`);
  return parts.join(", ") || "none";
}

/** Fits a table's rows: what is too long is wrapped, indented. */
function rows(cells: readonly (readonly string[])[]): string[] {
  return table(cells.map((row) => row.map(plain))).flatMap((line) =>
    line.length + INDENT.length <= WIDTH ? [INDENT + line] : wrapWords(line.trim().split(/\s+/), INDENT),
  );
}

function fdRows({ fds }: CprState): string[] {
  const cells = fds.map(({ name, id, fd, kind, size }) => {
    const bytes = size >= 0 ? `${size} bytes` : "";
    return [`fd ${fd}`, id === 0 ? name : `${name} ${id}`, kind, bytes];
  });
  return rows(cells);
}

/** @param size Of the whole in bytes. */
export function cprStateLines(state: CprState, size: number): string[] {
  const { writer, mode, attempt, failure, fds, ids, oldCommand, phases } = state;
  return [
    `CPR state: ${fds.length} ${fds.length === 1 ? "fd" : "fds"}, ${size} bytes`,
    ...nameRows([
      ["writer", writer],
      ["mode", mode],
      ["attempt", attempt === 0 ? "0, the new command" : `${attempt}, the old command again`],
      ...(failure === undefined ? [] : [["failure", failure] as const]),
      ["saved state", mainText(state)],
      ["old command", oldCommand.join(" ")],
      ["children", childrenText(state)],
    ]),
    "",
    "Preserved fds",
    ...fdRows(state),
    ...(ids.length === 0 ? [] : ["", "Ids", ...rows(ids.map(({ name, value }) => [name, String(value)]))]),
    ...(phases.length === 0 ? [] : ["", "Phases"]),
    ...rows(phases.map(({ name, startNs, endNs }) => [name, formatDuration(endNs - startNs)])),
  ];
}
