/** What an update hands over, and to whom: nothing beyond the manifest, nothing that can be changed, nobody else. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  constants,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { CPR_PREFLIGHT_ENV, CPR_STATE_ENV } from "@vmm/cpr";
import { Inspection } from "./lib/handover.ts";
import { childrenOf, commandLineOf, environmentOf, type OpenFd, openFdsOf } from "./lib/proc.ts";
import { settledSnapshot } from "./lib/snapshot.ts";
import { type UpdateResult, update } from "./lib/update.ts";
import { HAS_KVM, TestVm, until } from "./lib/vm.ts";

let vm: TestVm;
let inspection: Inspection;
let pid = 0;

const STDIO = [0, 1, 2];
const numbers = (fds: readonly OpenFd[]) => fds.map(({ fd }) => fd);
const sorted = (fds: readonly number[]) => fds.toSorted((a, b) => a - b);
const keepersOf = (vmm: number) =>
  childrenOf(vmm).filter((child) => commandLineOf(child).at(-1) === "keeper");
const environmentList = (of: number) =>
  [...environmentOf(of)].map(([name, value]) => `${name}=${value}`).sort();

async function startVm(): Promise<void> {
  vm = await TestVm.start();
  pid = await vm.pid();
  inspection = new Inspection(vm, await vm.command());
}

/** Begins an update to a command that stops at once. */
function begin(preflight = false): Promise<UpdateResult> {
  const updating = update(vm, { command: inspection.command, preflight });
  // a test that fails does not wait for it
  updating.catch(() => {});
  return updating;
}

describe.skipIf(!HAS_KVM)("an update (needs /dev/kvm)", () => {
  beforeEach(startVm);
  afterEach(() => vm[Symbol.asyncDispose]());

  test("hands the fds of the manifest and stdio to the new program, and no other", async () => {
    const updating = begin();
    const { fds, state, stateFd } = await inspection.look(CPR_STATE_ENV);
    const known = sorted([...STDIO, stateFd, ...state.fds.map(({ fd }) => fd)]);
    expect(fds.filter(({ fd }) => !known.includes(fd))).toEqual([]);
    expect(numbers(fds)).toEqual(known);
    for (const { fd, name, dev, ino } of state.fds) {
      const found = fds.find((open) => open.fd === fd);
      expect(`${name} ${found?.identity}`).toBe(`${name} ${dev}:${ino}`);
    }
    expect(fds.filter(({ link }) => link === "anon_inode:kvm-vm")).toEqual([]);
    inspection.goOn();
    expect((await updating).status).toBe("completed");
    const { inheritable, children } = await settledSnapshot(vm, pid);
    expect({ inheritable, children }).toEqual({ inheritable: [], children: 0 });
  });

  test("gives a program that is only asked no more than that either", async () => {
    const asking = vm.execute("migrate-set-parameters", {
      mode: "cpr-exec",
      "cpr-exec-command": inspection.command,
    });
    await asking;
    const report = vm.execute("x-cpr-preflight");
    report.catch(() => {});
    const { fds, state, stateFd, environment } = await inspection.look(CPR_PREFLIGHT_ENV);
    expect(numbers(fds)).toEqual(sorted([...STDIO, stateFd, ...state.fds.map(({ fd }) => fd)]));
    // under the numbers that they have in an update: what a wrapper does to one of them is found here
    const own = new Map(openFdsOf(pid).map(({ fd, identity }) => [fd, identity]));
    for (const { fd, name, dev, ino } of state.fds)
      expect(`${name} ${own.get(fd)}`).toBe(`${name} ${dev}:${ino}`);
    const more = environment.filter((entry) => !environmentList(pid).includes(entry));
    expect(more).toEqual([`${CPR_PREFLIGHT_ENV}=${stateFd}`]);
    inspection.goOn();
    expect(await report).toMatchObject({ ok: true });
  });

  test("gives the keeper what it has to keep, and nothing else of the VM", async () => {
    const updating = begin();
    const { state, fds } = await inspection.look(CPR_STATE_ENV);
    const [keeper, ...others] = keepersOf(pid);
    expect(others).toEqual([]);
    const manifest = new Set([...state.fds.map(({ dev, ino }) => `${dev}:${ino}`)]);
    const stdio = fds.filter(({ fd }) => STDIO.includes(fd)).map(({ identity }) => identity);
    const foreign = openFdsOf(keeper as number).filter(
      ({ link, identity }) =>
        !manifest.has(identity) &&
        !stdio.includes(identity) &&
        // what any Bun process opens for itself, its end of the socket, the CPR state, and those that it watches
        !/^(anon_inode:\[(eventpoll|eventfd|timerfd|pidfd)\]|pidfd:.*|socket:.*|\/memfd:vmm-cpr-state \(deleted\))$/.test(
          link,
        ),
    );
    expect(foreign.map(({ link }) => link)).toEqual([]);
    expect(openFdsOf(keeper as number).filter(({ link }) => link.startsWith("anon_inode:kvm-vm"))).toEqual(
      [],
    );
    inspection.goOn();
    expect((await updating).status).toBe("completed");
    await until("the keeper has ended", () => keepersOf(pid).length === 0);
  });

  test("adds one variable to the environment, the number of an fd", async () => {
    const before = environmentList(pid);
    const updating = begin();
    const { environment, stateFd } = await inspection.look(CPR_STATE_ENV);
    expect(environment.filter((entry) => !before.includes(entry))).toEqual([`${CPR_STATE_ENV}=${stateFd}`]);
    expect(
      before.filter((entry) => !environment.includes(entry) && !/^VMM_(READY|LOCK)_FD=/.test(entry)),
    ).toEqual([]);
    for (const keeper of keepersOf(pid)) {
      expect(environmentList(keeper).filter((entry) => !before.includes(entry))).toEqual([]);
    }
    inspection.goOn();
    expect((await updating).status).toBe("completed");
    for (const [name, value] of environmentOf(pid)) {
      if (name.startsWith("VMM_")) expect(`${name}=${value}`).toMatch(/^VMM_[A-Z_]+=(\d+|source)$/);
    }
  });

  test("leaves states that nobody can change, not even root", async () => {
    const updating = begin();
    const { state, stateFd } = await inspection.look(CPR_STATE_ENV);
    const main = state.fds.find(({ name }) => name === "cpr:main")?.fd as number;
    for (const fd of [stateFd, main]) {
      const open = openSync(`/proc/${pid}/fd/${fd}`, constants.O_RDWR);
      try {
        expect(() => writeSync(open, Buffer.from("x"), 0, 1, 40)).toThrow("EPERM");
        expect(() => ftruncateSync(open, 10)).toThrow("EPERM");
        expect(() => ftruncateSync(open, 1 << 20)).toThrow("EPERM");
      } finally {
        closeSync(open);
      }
    }
    const word = state.fds.find(({ name }) => name === "cpr:commit-word")?.fd as number;
    const page = openSync(`/proc/${pid}/fd/${word}`, constants.O_RDWR);
    expect(() => ftruncateSync(page, 0)).toThrow("EPERM");
    closeSync(page);
    inspection.goOn();
    expect((await updating).status).toBe("completed");
  });

  test("writes a state file that only its user can read", async () => {
    const file = join(vm.runtime, "state");
    expect((await update(vm, { uri: `file:${file}` })).status).toBe("completed");
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("keeps the VM's folder and all in it private", async () => {
    const before = modes();
    expect(before).toEqual({
      folder: 0o700,
      qmp: 0o600,
      console: 0o600,
      config: 0o600,
      log: 0o600,
      lock: 0o600,
    });
    expect((await update(vm)).status).toBe("completed");
    expect(modes()).toEqual(before);
  });
});

function modes(): Record<string, number> {
  const { folder, qmp, console, config, log, lock } = vm.paths;
  const entries = Object.entries({ folder, qmp, console, config, log, lock });
  return Object.fromEntries(entries.map(([name, path]) => [name, statSync(path).mode & 0o777]));
}

const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/** Whether another user can be had, and can run Bun. */
const HAS_NOBODY =
  process.getuid?.() === 0 &&
  Bun.which("setpriv") !== null &&
  Bun.spawnSync([...NOBODY, process.execPath, "--version"], { cwd: "/" }).exitCode === 0;

const CONNECT =
  'Bun.connect({ unix: process.argv.at(-1), socket: { data() {} } }).then(() => console.log("connected"), (error) => console.log(error.code)).then(() => process.exit())';

function connectAsNobody(path: string): string {
  const { stdout, stderr } = Bun.spawnSync([...NOBODY, process.execPath, "-e", CONNECT, path], { cwd: "/" });
  return stdout.toString().trim() || stderr.toString();
}

describe.skipIf(!HAS_KVM || !HAS_NOBODY)("another user (needs /dev/kvm, root and setpriv)", () => {
  beforeEach(startVm);
  afterEach(() => vm[Symbol.asyncDispose]());

  test("cannot connect to a VM, before an update and after it", async () => {
    // the test's own folder is not to be what protects it
    chmodSync(vm.runtime, 0o755);
    for (let i = 0; i < 2; i++) {
      for (const socket of [vm.paths.qmp, vm.paths.console]) expect(connectAsNobody(socket)).toBe("EACCES");
      expect((await update(vm)).status).toBe("completed");
    }
  });

  test("cannot connect even where all folders on the way are open", async () => {
    for (const folder of [vm.runtime, join(vm.runtime, "vmm"), vm.paths.folder]) chmodSync(folder, 0o755);
    for (const socket of [vm.paths.qmp, vm.paths.console]) expect(connectAsNobody(socket)).toBe("EACCES");
    chmodSync(vm.paths.qmp, 0o666);
    // what is refused above is refused for the reason that is meant
    expect(connectAsNobody(vm.paths.qmp)).toBe("connected");
    expect(readFileSync(vm.paths.config).length).toBeGreaterThan(0);
  });
});
