import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMMANDS } from "../commands/index.ts";
import bashCompletion from "./bash.ts";
import { commandTree, type TreeCommand } from "./command-tree.ts";
import fishCompletion from "./fish.ts";
import zshCompletion from "./zsh.ts";

let folder = "";
let tree: TreeCommand[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "vmm-completion-"));
  for (const vm of ["web", "work"]) mkdirSync(join(folder, "vmm", vm), { recursive: true });
  tree = await commandTree();
  writeFileSync(join(folder, "vmm.bash"), bashCompletion(tree));
  writeFileSync(join(folder, "_vmm"), zshCompletion(tree));
  writeFileSync(join(folder, "vmm.fish"), fishCompletion(tree));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...command: string[]): string[] {
  const { stdout, stderr, exitCode } = Bun.spawnSync(command, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, XDG_RUNTIME_DIR: folder, TERM: "dumb" },
  });
  if (exitCode !== 0) throw new Error(stderr.toString() + stdout.toString());
  return stdout.toString().split("\n").filter(Boolean);
}

/** What bash offers for the last word. */
function inBash(line: string): string[] {
  const words = line.split(" ").map((word) => `'${word}'`);
  const script = `. ./vmm.bash; COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; _vmm; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return run("bash", "--norc", "-c", script).sort();
}

/** What fish offers for the last word, descriptions cut off. */
function inFish(line: string): string[] {
  const script = `source vmm.fish; complete -C '${line}'`;
  return run("fish", "--no-config", "-c", script)
    .map((entry) => entry.split("\t")[0] as string)
    .sort();
}

const shells: [string, (line: string) => string[], boolean][] = [
  ["bash", inBash, Bun.which("bash") !== null],
  ["fish", inFish, Bun.which("fish") !== null],
];

for (const [shell, offers, installed] of shells) {
  describe.skipIf(!installed)(`${shell} (needs ${shell})`, () => {
    test("offers the commands", () => {
      const words = offers("vmm ");
      for (const name of Object.keys(COMMANDS)) expect(words).toContain(name);
      expect(offers("vmm st")).toEqual(["start", "state", "status", "stop"]);
    });

    test("offers a command's options", () => {
      expect(offers("vmm start --me")).toEqual(["--memory"]);
      expect(offers("vmm quit --")).toContain("--help");
    });

    test("offers the values that an option has", () => {
      expect(offers("vmm start --guest ")).toEqual(["heartbeat"]);
    });

    test("offers the names of VMs where a VM is wanted", () => {
      expect(offers("vmm console w")).toEqual(["web", "work"]);
      expect(offers("vmm quit --name we")).toEqual(["web"]);
    });

    test("offers files where a file is wanted", () => {
      expect(offers("vmm state d")).toEqual(["diff"]);
      expect(offers("vmm state show vmm.")).toEqual(["vmm.bash", "vmm.fish"]);
      expect(offers("vmm state diff vmm.bash vmm.f")).toEqual(["vmm.fish"]);
      expect(offers("vmm start --kernel vmm.b")).toEqual(["vmm.bash"]);
    });

    test("offers shells where a shell is wanted", () => {
      expect(offers("vmm completion z")).toEqual(["zsh"]);
    });
  });
}

test.skipIf(Bun.which("bash") === null)("bash offers programs after -- (needs bash)", () => {
  expect(inBash("vmm migrate web -- bas")).toContain("bash");
});

test.skipIf(Bun.which("zsh") === null)(
  "zsh takes the script, and it describes each command (needs zsh)",
  () => {
    run(
      "zsh",
      "-f",
      "-c",
      "autoload -U compinit; compinit -u -D; source ./_vmm; whence -w _vmm | grep -q function",
    );
    const script = zshCompletion(tree);
    for (const { name } of tree) expect(script).toContain(`    '${name}:`);
  },
);
