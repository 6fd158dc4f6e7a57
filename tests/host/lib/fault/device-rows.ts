/** A device fails: in its notifier, when it is paused or saved, and in the new VMM when it is loaded. */
import type { FaultCall } from "./device.ts";
import type { Expectation, FaultRow } from "./row.ts";

function row(what: string, device: readonly FaultCall[], reason: Expectation["reason"] = ""): FaultRow {
  return { group: "a device fails", what, device, expect: { outcome: "failed", reason } };
}

const inCall = (call: FaultCall) => `fault0 fails in ${call}`;

export const deviceRows = (): FaultRow[] => [
  row("its SETUP notifier", ["setup"], `fault0 vetoes cpr-exec: ${inCall("setup")}`),
  row("its DONE notifier", ["done"], `fault0 cannot complete cpr-exec: ${inCall("done")}`),
  row(
    "its DONE and FAILED notifiers",
    ["done", "failed"],
    /fails in done; .*FAILED notifier.*fails in failed/,
  ),
  row("when it is paused", ["pause"], inCall("pause")),
  row("when it is saved", ["save"], inCall("save")),
  row("when the new VMM resets it", ["reset"], inCall("reset")),
  row("when the new VMM has loaded it", ["postLoad"], inCall("postLoad")),
  row("when the new VMM starts it", ["start"], inCall("start")),
  row("when it is saved, and when it is resumed", ["save", "resume"], inCall("save")),
  {
    ...row("when the new VMM resumes it", ["resume"]),
    // too late to go back: the guest runs on without it
    expect: { outcome: "completed" },
  },
];
