import { describe, expect, test } from "bun:test";
import { Blockers } from "./blockers.ts";
import { type ModeNotifier, ModeNotifiers } from "./notifiers.ts";
import { UndoLog } from "./undo-log.ts";

/** A notifier that writes down what it is told; `broken` names the events in which it throws. */
function witness(log: string[], name: string, broken: string[] = []): ModeNotifier {
  const on = (event: string) => () => {
    if (broken.includes(event)) throw new Error(`${event} broke`);
    log.push(`${name} ${event}`);
  };
  return {
    name,
    modes: ["cpr-exec", "cpr-transfer"],
    setup: on("setup"),
    done: on("done"),
    failed: on("failed"),
  };
}

describe("mode notifiers", () => {
  test("run in order, in their modes only", async () => {
    const log: string[] = [];
    const notifiers = new ModeNotifiers();
    notifiers.add(witness(log, "a"));
    notifiers.add({ ...witness(log, "r"), modes: ["cpr-reboot"] });
    const off = notifiers.add(witness(log, "gone"));
    notifiers.add(witness(log, "b"));
    off();
    for (const mode of ["cpr-exec", "cpr-transfer"] as const) {
      await notifiers.setup(mode, new UndoLog());
      notifiers.done(mode);
    }
    const once = ["a setup", "b setup", "a done", "b done"];
    expect(log).toEqual([...once, ...once]);
  });

  test("hear FAILED only where their SETUP ran, the latest first", async () => {
    const log: string[] = [];
    const undo = new UndoLog();
    const notifiers = new ModeNotifiers();
    notifiers.add(witness(log, "a"));
    notifiers.add({ name: "quiet", modes: ["cpr-exec"], failed: () => void log.push("quiet failed") });
    notifiers.add(witness(log, "veto", ["setup"]));
    notifiers.add(witness(log, "never"));
    const setup = notifiers.setup("cpr-exec", undo);
    expect(setup).rejects.toThrow("veto vetoes cpr-exec: setup broke");
    await setup.catch(() => {});
    expect(undo.unwind()).toEqual([]);
    expect(log).toEqual(["a setup", "quiet failed", "a failed"]);
  });

  test("that throw in FAILED do not keep others from hearing it, and are reported once", async () => {
    const log: string[] = [];
    const undo = new UndoLog();
    const notifiers = new ModeNotifiers();
    for (const [name, broken] of [
      ["a", []],
      ["b", ["failed"]],
      ["c", []],
    ] as const) {
      notifiers.add(witness(log, name, [...broken]));
    }
    await notifiers.setup("cpr-exec", undo);
    const failures = undo.unwind();
    expect(failures.map(({ what }) => what)).toEqual(["FAILED notifier of b"]);
    expect(undo.unwind()).toEqual([]);
    expect(log.slice(3)).toEqual(["c failed", "a failed"]);
  });

  test("may still stop the update in DONE", async () => {
    const notifiers = new ModeNotifiers();
    notifiers.add(witness([], "nic", ["done"]));
    await notifiers.setup("cpr-exec", new UndoLog());
    expect(() => notifiers.done("cpr-exec")).toThrow("nic cannot complete cpr-exec: done broke");
  });

  test("may take their time in SETUP, and can be cut off between two of them", async () => {
    const log: string[] = [];
    const notifiers = new ModeNotifiers();
    notifiers.add({
      ...witness(log, "slow"),
      setup: () => Bun.sleep(1).then(() => void log.push("slow setup")),
    });
    notifiers.add(witness(log, "next"));
    let asked = 0;
    const stop = () => {
      if (asked++ > 0) throw new Error("cancelled");
    };
    await notifiers.setup("cpr-exec", new UndoLog(), stop).catch((error) => log.push(error.message));
    expect(log).toEqual(["slow setup", "cancelled"]);
  });
});

describe("blockers", () => {
  test("block their modes until they are removed", () => {
    const blockers = new Blockers();
    const ram = blockers.add(["cpr-exec", "cpr-transfer"], "ram0 is private.");
    const all = blockers.add("all", "invtsc.");
    expect(blockers.reasons("cpr-exec")).toEqual(["ram0 is private.", "invtsc."]);
    expect(blockers.reasons("cpr-reboot")).toEqual(["invtsc."]);
    expect(() => blockers.check("cpr-transfer")).toThrow("ram0 is private. invtsc.");
    ram.remove();
    ram.remove();
    all.remove();
    blockers.check("cpr-exec");
  });

  test("with equal words are still two", () => {
    const blockers = new Blockers();
    const first = blockers.add(["cpr-exec"], "busy");
    blockers.add(["cpr-exec"], "busy");
    first.remove();
    expect(blockers.reasons("cpr-exec")).toEqual(["busy"]);
  });
});
