/** What the new VMM finds is not what the old one has left: states cut short or changed, fds missing or of another kind. */
import { join } from "node:path";
import { CPR_FD } from "@vmm/cpr";
import type { FaultRow } from "./row.ts";

const WRAPPER = [process.execPath, join(import.meta.dir, "damage.ts")];
/** Without it there is nobody to be told of the reason. */
const KEEPER = CPR_FD.keeper;
const DIED = "the new VMM died before it ran the guest";
const AT = {
  cut: ["0", "1", "7", "8", "12", "24", "31", "32", "36", "10%", "25%", "50%", "75%", "90%", "-16", "-1"],
  flip: [
    "0",
    "7",
    "8",
    "12",
    "15",
    "16",
    "23",
    "24",
    "31",
    "32",
    "36",
    "40",
    "10%",
    "25%",
    "50%",
    "75%",
    "90%",
    "-1",
  ],
} as const;
const SHORT = new Set(["31", "50%"]);

/** @param pid Whether the new VMM can go back by itself: not with what it has not understood. */
function row(
  group: string,
  what: string,
  words: readonly string[],
  reason: string | RegExp,
  long = false,
): FaultRow {
  return {
    group,
    what,
    request: ({ command }) => ({ command: [...WRAPPER, ...words, "--", ...command] }),
    expect: { outcome: "failed", reason, pid: "new" },
    long,
  };
}

const TEXT = { cut: "is cut at byte", flip: "has another byte at" } as const;

function damagedRows(which: "cpr" | "main", name: string): FaultRow[] {
  return (["cut", "flip"] as const).flatMap((how) =>
    AT[how].map((at) =>
      row(
        name,
        `${TEXT[how]} ${at}`,
        [how, which, at],
        which === "cpr" ? DIED : /saved state/,
        !SHORT.has(at) || (which === "cpr" && how === "flip"),
      ),
    ),
  );
}

function fdRows(): FaultRow[] {
  const missing = (name: string, long = true) =>
    // what the new VMM opens for itself may have the number by the time that it looks
    row("an fd is missing", name, ["close", name], name === KEEPER ? DIED : `"${name}", `, long);
  const other = (name: string, path: string, long = true) =>
    row(
      "an fd is of the wrong kind",
      name,
      ["replace", name, path],
      name === KEEPER ? DIED : `"${name}", was a`,
      long,
    );
  return [
    missing("ram0", false),
    missing("pc.rom"),
    missing("qmp-listener"),
    missing("folder-lock"),
    missing("cpr:main", false),
    missing("cpr:commit-word"),
    missing("cpr:old-exe"),
    missing(KEEPER),
    other("ram0", "/dev/null", false),
    other("qmp-listener", "/dev/zero"),
    other("cpr:main", "/dev/null"),
    other("cpr:old-exe", "/dev/null"),
    other(KEEPER, "/dev/null"),
  ];
}

export const damagedStateRows = (): FaultRow[] => [
  ...damagedRows("main", "the saved state"),
  ...damagedRows("cpr", "the CPR state"),
  row("the CPR state", "is not sealed", ["unseal"], DIED),
  row("the CPR state", "the variable is no number", ["number", "x"], DIED),
  row("the CPR state", "the variable names no open fd", ["number", "900"], DIED, true),
  row("the CPR state", "the variable names stdin", ["number", "0"], DIED, true),
  ...fdRows(),
  {
    group: "the uri file",
    what: "is cut short before the load",
    request: ({ folder, command }) => ({
      uri: `file:${folder}/state`,
      command: ["/bin/sh", "-c", `truncate -s 1000 ${folder}/state; exec "$@"`, "sh", ...command],
      cleanUp: () => Bun.spawnSync(["rm", "-f", `${folder}/state`]),
    }),
    expect: { outcome: "failed", reason: "truncated", pid: "any" },
  },
  {
    group: "the uri file",
    what: "is removed before the load",
    request: ({ folder, command }) => ({
      uri: `file:${folder}/state`,
      command: ["/bin/sh", "-c", `rm ${folder}/state; exec "$@"`, "sh", ...command],
    }),
    expect: { outcome: "failed", reason: "ENOENT", pid: "any" },
  },
];
