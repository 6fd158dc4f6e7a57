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

/** Damage with which the new VMM cannot go back by itself: it would find no other state, or does not know how. */
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

function damagedRows(which: "cpr" | "main", name: string, more: readonly string[]): FaultRow[] {
  return (["cut", "flip"] as const).flatMap((how) =>
    [...new Set([...AT[how], ...more])].map((at) =>
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

/** Kernel objects without a file share one inode, so that another one is found only when it is used. */
const NO_VCPU = /mmap .*ENODEV/;

/** What the new VMM opens for itself may have the number by the time that it looks: then the fd is there, and is another. */
function missingReason(name: string): string | RegExp {
  if (name === "kvm-agent-vcpu") return new RegExp(`"${name}", |${NO_VCPU.source}`);
  return name === KEEPER ? DIED : `"${name}", `;
}

function fdRows(): FaultRow[] {
  const missing = (name: string, long = true) =>
    row("an fd is missing", name, ["close", name], missingReason(name), long);
  const other = (name: string, path: string, long = true) =>
    row(
      "an fd is of the wrong kind",
      name,
      ["replace", name, path],
      name === KEEPER ? DIED : `"${name}", was a`,
      long,
    );
  const another = (name: string, reason: string | RegExp = `"${name}", is another`, long = true) =>
    row("an fd is another of its kind", name, ["another", name], name === KEEPER ? DIED : reason, long);
  const resized = (name: string, long = true) =>
    row("a memfd has another size", name, ["resize", name], `"${name}", had `, long);
  return [
    missing("ram0", false),
    missing("pc.rom"),
    missing("qmp-listener"),
    missing("serial0.listen"),
    missing("kvm-agents"),
    missing("kvm-agent-vcpu", false),
    missing("folder-lock"),
    missing("cpr:main", false),
    missing("cpr:commit-word"),
    missing("cpr:old-exe"),
    missing(KEEPER),
    other("ram0", "/dev/null", false),
    other("pc.rom", "/dev/null"),
    other("qmp-listener", "/dev/zero"),
    other("serial0.listen", "/dev/null"),
    other("folder-lock", "/dev/null"),
    other("kvm-agents", "/dev/zero"),
    other("kvm-agent-vcpu", "/dev/null"),
    other("cpr:commit-word", "/dev/null"),
    other("cpr:main", "/dev/null"),
    other("cpr:old-exe", "/dev/null"),
    other(KEEPER, "/dev/null"),
    another("ram0", undefined, false),
    another("pc.rom"),
    another("qmp-listener"),
    another("serial0.listen"),
    another("folder-lock"),
    another("kvm-agents"),
    another("kvm-agent-vcpu", NO_VCPU),
    another("cpr:main"),
    another("cpr:commit-word"),
    another("cpr:old-exe"),
    another(KEEPER),
    resized("ram0", false),
    resized("pc.rom"),
    resized("cpr:main"),
  ];
}

/** The new VMM does not understand the file; the old one finds the state in its memfd, as it has written it. */
function fileRows(): FaultRow[] {
  const damaged = (["cut", "flip"] as const).flatMap((how) =>
    AT[how].map(
      (at): FaultRow => ({
        group: "the uri file",
        what: `${TEXT[how]} ${at}`,
        request: ({ folder, command }) => ({
          uri: `file:${folder}/state`,
          command: [...WRAPPER, how, "file", at, "--", ...command],
        }),
        expect: { outcome: "failed", reason: /saved state/ },
        long: at !== "50%",
      }),
    ),
  );
  const removed: FaultRow = {
    group: "the uri file",
    what: "is removed before the load",
    request: ({ folder, command }) => ({
      uri: `file:${folder}/state`,
      command: ["/bin/sh", "-c", `rm ${folder}/state; exec "$@"`, "sh", ...command],
    }),
    expect: { outcome: "failed", reason: "ENOENT" },
  };
  return [...damaged, removed];
}

/** @param more Where a state is damaged besides the places that matter, as `damage.ts` takes it. */
export const damagedStateRows = (more: readonly string[] = []): FaultRow[] => [
  ...damagedRows("main", "the saved state", more),
  ...damagedRows("cpr", "the CPR state", more),
  row("the CPR state", "is not sealed", ["unseal"], DIED),
  row("the CPR state", "the variable is no number", ["number", "x"], DIED),
  row("the CPR state", "the variable names no open fd", ["number", "900"], DIED, true),
  row("the CPR state", "the variable names stdin", ["number", "0"], DIED, true),
  ...fdRows(),
  ...fileRows(),
];
