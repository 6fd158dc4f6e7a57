/** A device fails: in its notifier, when it is paused or saved, and in the new VMM when it is loaded. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { MigrationMode } from "@vmm/cpr";
import type { FaultCall } from "./device.ts";
import type { FaultRow } from "./row.ts";

const inCall = (call: FaultCall) => `fault0 fails in ${call}`;

function row(what: string, device: readonly FaultCall[], reason: string | RegExp): FaultRow {
  return { group: "a device fails", what, device, expect: { outcome: "failed", reason } };
}

/** The notifiers of a mode. */
function notifierRows(mode: MigrationMode): FaultRow[] {
  return [
    row("its SETUP notifier", ["setup"], `fault0 vetoes ${mode}: ${inCall("setup")}`),
    row("its DONE notifier", ["done"], `fault0 cannot complete ${mode}: ${inCall("done")}`),
    row(
      "its DONE and FAILED notifiers",
      ["done", "failed"],
      /fails in done; .*FAILED notifier.*fails in failed/,
    ),
    row(
      "when it is saved, and its FAILED notifier",
      ["save", "failed"],
      /fails in save; .*FAILED notifier.*fails in failed/,
    ),
  ];
}

const inMode = (mode: MigrationMode, rows: readonly FaultRow[]): FaultRow[] =>
  rows.map((one, i) => ({
    ...one,
    group: `a device fails in ${mode}`,
    request: ({ folder }) => ({
      mode,
      ...(mode !== "cpr-transfer" && { uri: `file:${join(folder, "state")}` }),
      cleanUp: () => rmSync(join(folder, "state"), { force: true }),
    }),
    long: mode !== "cpr-transfer" || i > 1,
  }));

/** What is called in the new VMM before it has the guest. */
const loadRows = (): FaultRow[] => [
  row("when the new VMM resets it", ["reset"], inCall("reset")),
  row("when the new VMM has loaded it", ["postLoad"], inCall("postLoad")),
  row("when the new VMM starts it", ["start"], inCall("start")),
];

export const deviceRows = (): FaultRow[] => [
  ...notifierRows("cpr-exec"),
  row("when it is paused", ["pause"], inCall("pause")),
  row("when it is saved", ["save"], inCall("save")),
  ...loadRows(),
  row("when it is saved, and when it is resumed", ["save", "resume"], inCall("save")),
  {
    ...row("when the new VMM resumes it", ["resume"], ""),
    // too late to go back: the guest runs on without it
    expect: { outcome: "completed" },
  },
  ...inMode("cpr-transfer", [...notifierRows("cpr-transfer"), ...loadRows()]),
  ...inMode("cpr-reboot", notifierRows("cpr-reboot")),
  ...inMode("normal", notifierRows("normal")),
];
