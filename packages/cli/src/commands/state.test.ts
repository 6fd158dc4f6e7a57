import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CprState, encodeCprState, encodeState, type JsonObject, StateFile, writeRam } from "@vmm/cpr";
import { memfdBlock } from "../../test/memfd-block.ts";
import { bytesOfState, console, HEADER, stateOf, uart } from "../../test/saved-state.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-state-"));
  const state = bytesOfState(uart(), console("tick 0\n"));
  const cut = state.slice(0, -1);
  const changed = state.with(state.length - 1, 1);
  const newer = state.with(8, 7);
  const files: Record<string, Uint8Array> = {
    state,
    other: bytesOfState(uart({ ier: 9 }), console("tick 0\n")),
    cut,
    changed,
    newer,
    "state.gz": Bun.gzipSync(state),
    "cut.gz": Bun.gzipSync(state).slice(0, 99),
    shifted: Buffer.concat([new Uint8Array(4096), state]),
    manifest: encodeCprState(MANIFEST),
    empty: new Uint8Array(0),
    text: Buffer.from("#!/bin/sh\n"),
    wild: encodeState({ ...HEADER, writer: WILD, machine: { [WILD]: WILD, config: { plugins: [WILD] } } }, [
      { ...uart(), name: WILD, kind: WILD },
    ]),
    twice: bytesOfState(uart({}, { name: WILD }), uart({}, { name: WILD })),
    deep: bytesOfMachine(JSON.parse(`${'{"a":'.repeat(1000)}1${"}".repeat(1000)}`)),
  };
  Bun.spawnSync(["mkfifo", join(folder, "fifo")]);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MANIFEST: CprState = {
  writer: "0.1.0",
  mode: "cpr-exec",
  attempt: 1,
  failure: "the new VMM ended with status 9",
  fds: [{ name: "ram0", id: 0, fd: 12, kind: "memfd", dev: "1", ino: "2", size: 64 << 20 }],
  ids: [],
  main: { type: "memfd" },
  oldCommand: ["/usr/bin/vmm", "--config", "/run/vmm/web/config.json"],
  children: { keeper: 4711 },
  startNs: 1e9,
  setupEndNs: 2e9,
  phases: [{ name: "stop", startNs: 2e9, endNs: 2.0014e9 }],
};

/** Escapes for a terminal: of 7 bits and of 8, and one that turns the text round. */
const WILD = "\x1b[31mred\x07\x7f\u009b2J\u202e";
const ACTIVE = /(?!\n)[\p{Cc}\u202e]/u;

const bytesOfMachine = (machine: JsonObject) => encodeState({ ...HEADER, machine }, []);

/** Runs `vmm state`, as a user in the folder of the files would. */
function vmm(...words: readonly string[]) {
  const program = join(import.meta.dir, "../vmm.ts");
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, program, "state", ...words], {
    cwd: folder,
  });
  return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode };
}

describe("vmm state show", () => {
  test("shows a saved state, as it is, packed, or within a larger file", () => {
    const plain = vmm("show", "state");
    expect(plain).toMatchObject({ exitCode: 0, stderr: "" });
    expect(plain.stdout).toStartWith("Saved state: 2 records, ");
    expect(vmm("show", "state.gz").stdout).toBe(plain.stdout);
    expect(vmm("show", "shifted", "--offset", "0x1000").stdout).toBe(plain.stdout);
  });

  test("shows it as JSON", () => {
    const { records } = JSON.parse(vmm("show", "state", "--json").stdout);
    expect(records.map(({ name }: { name: string }) => name)).toEqual(["serial0", "chardev:serial0"]);
  });

  test("shows CPR state, the fds that are preserved and how to go back", () => {
    expect(vmm("show", "manifest").stdout.replace(/\d+ bytes$/m, "N bytes")).toBe(
      [
        "CPR state: 1 fd, N bytes",
        "  writer       0.1.0",
        "  mode         cpr-exec",
        "  attempt      1, the old command again",
        "  failure      the new VMM ended with status 9",
        "  saved state  in the fd cpr:main",
        "  old command  /usr/bin/vmm --config /run/vmm/web/config.json",
        "  children     keeper 4711",
        "",
        "Preserved fds",
        "  fd 12  ram0  memfd  67108864 bytes",
        "",
        "Phases",
        "  stop  1.4 ms",
        "",
      ].join("\n"),
    );
    expect(JSON.parse(vmm("show", "manifest", "--json").stdout)).toMatchObject({
      type: "cpr-state",
      ...MANIFEST,
    });
  });
});

describe("a state with RAM behind it", () => {
  const PAGE = 4096;

  /** A state of a guest with two blocks of RAM, one of which stays in a file of its own. */
  function withRam(pages: Readonly<Record<number, number>>): Uint8Array {
    const ram = [
      { name: "ram0", size: 64 * PAGE, place: "stream" as const },
      { name: "disk0", size: 8 * PAGE, place: "file" as const, path: "/var/lib/disk0", samples: [] },
    ];
    const { header, records } = stateOf(uart());
    const path = join(folder, "made");
    const file = new StateFile(path, 0);
    file.append(encodeState({ ...header, ram }, records));
    using memory = memfdBlock("ram0", 64 * PAGE);
    for (const [page, value] of Object.entries(pages)) memory.fill(Number(page) * PAGE, PAGE, value);
    for (const _ of writeRam(file, [memory.block, undefined]));
    file.finish(false);
    return new Uint8Array(readFileSync(path));
  }

  beforeAll(() => {
    writeFileSync(join(folder, "ram"), withRam({ 1: 7, 2: 7, 9: 5 }));
    writeFileSync(join(folder, "ram2"), withRam({ 1: 7, 2: 8, 10: 5 }));
    const whole = readFileSync(join(folder, "ram"));
    writeFileSync(join(folder, "ram-cut"), whole.subarray(0, whole.length - 100));
    writeFileSync(join(folder, "ram-more"), Buffer.concat([whole, new Uint8Array(5)]));
    writeFileSync(join(folder, "ram.gz"), Bun.gzipSync(whole));
  });

  test("is shown with how much of each block is there", () => {
    for (const name of ["ram", "ram.gz"]) {
      const { stdout } = vmm("show", name);
      expect(stdout).toContain(
        [
          "RAM",
          "  ram0   262144 bytes, 3 pages of it in this file, the others are 0",
          "  disk0  32768 bytes, in place in /var/lib/disk0",
          "",
        ].join("\n"),
      );
    }
    expect(JSON.parse(vmm("show", "ram", "--json").stdout).ram).toEqual([
      { name: "ram0", size: 64 * PAGE, pages: 3 },
      { name: "disk0", size: 8 * PAGE, pages: 0, path: "/var/lib/disk0" },
    ]);
  });

  test("is compared page by page", () => {
    expect(vmm("diff", "ram", "ram.gz")).toMatchObject({ exitCode: 0, stdout: "" });
    expect(vmm("diff", "ram", "ram2")).toMatchObject({
      exitCode: 1,
      stdout: "--- ram\n+++ ram2\n\nRAM\n  ram0  3 pages differ, the first at 0x2000\n",
    });
  });

  test("is refused where the RAM is not whole, or something follows it", () => {
    expect(vmm("show", "ram-cut")).toMatchObject({
      exitCode: 2,
      stderr: "vmm: ram-cut: the saved state is truncated: its RAM is not whole\n",
    });
    expect(vmm("show", "ram-more")).toMatchObject({
      exitCode: 2,
      stderr: "vmm: ram-more: the saved state is damaged: 5 bytes follow its end\n",
    });
  });
});

describe("vmm state diff", () => {
  test("says nothing and ends with 0 where the states say the same", () => {
    expect(vmm("diff", "state", "state.gz")).toEqual({ stdout: "", stderr: "", exitCode: 0 });
  });

  test("says what differs and ends with 1", () => {
    const { stdout, exitCode } = vmm("diff", "state", "other");
    expect(stdout).toBe("--- state\n+++ other\n\nserial0\n  ier  5  ->  9\n");
    expect(exitCode).toBe(1);
  });

  test("gives JSON with the same exit status", () => {
    const { stdout, exitCode } = vmm("diff", "state", "other", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      equal: false,
      changed: [{ name: "serial0", fields: [{ path: "ier", before: 5, after: 9 }] }],
    });
    expect(exitCode).toBe(1);
    expect(vmm("diff", "state", "state", "--json")).toMatchObject({ exitCode: 0 });
  });
});

test("nothing in a state does anything to the terminal, and JSON has it all the same", () => {
  const outputs = [
    ["show", "wild"],
    ["show", "wild", "--full"],
    ["show", "wild", "--json"],
    ["diff", "wild", "state"],
    ["diff", "wild", "state", "--json"],
    ["show", "twice"],
  ].map((words) => vmm(...words));
  for (const { stdout, stderr } of outputs) expect(stdout + stderr).not.toMatch(ACTIVE);
  expect(outputs[0]?.stdout).toContain("?[31mred???2J?");
  expect(outputs[5]?.stderr).toContain('record "?[31mred???2J?" is not the only one of its name');
  expect(JSON.parse(outputs[2]?.stdout ?? "").records[0].name).toBe(WILD);
});

test.each([
  [["show", "missing"], "missing: there is no such file"],
  [["show", "."], ".: that is a folder"],
  [["show", "fifo"], "fifo: that is a pipe, not a file"],
  [["show", "empty"], "empty: this is not a saved state: it does not begin with VMMSTATE"],
  [["show", "text"], "text: this is not a saved state: it does not begin with VMMSTATE"],
  [["show", "cut"], "cut: the saved state is truncated: it has "],
  [["show", "changed"], "changed: the saved state is damaged: its checksum does not fit"],
  [["show", "newer"], "newer: the saved state has format version 7, and this program reads version 1"],
  [["show", "deep"], "deep: its header is nested too deeply"],
  [["show", "cut.gz"], "cut.gz: it is packed by gzip, but cannot be unpacked: "],
  [["show", "state", "--offset", "x"], '--offset: "x" is not a number of bytes'],
  [["show", "state", "other"], 'vmm state show takes one file, not also "other"'],
  [["diff", "state", "cut"], "cut: the saved state is truncated"],
  [["diff", "state", "manifest"], "manifest is CPR state: diff compares saved states"],
  [["diff", "state"], "vmm state diff takes two files"],
  [["diff", "state", "other", "--full"], "--full is for vmm state show"],
  [["shwo", "state"], "vmm state shwo: there are show and diff"],
])("vmm state %j ends with status 2 and one line", (words, reason) => {
  const { stdout, stderr, exitCode } = vmm(...words);
  expect(stderr).toStartWith(`vmm: ${reason}`);
  expect(stderr.trimEnd()).not.toContain("\n");
  expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 2 });
});
