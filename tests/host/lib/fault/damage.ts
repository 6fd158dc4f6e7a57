/**
 * A wrapper, as a new command may be, that damages what the old VMM has left before it becomes the VMM:
 * `bun damage.ts KIND [WORD...] -- COMMAND...`.
 *
 * | kind | |
 * |---|---|
 * | `cut WHICH AT` | only the bytes before AT are left |
 * | `flip WHICH AT` | the byte at AT is another one |
 * | `close NAME` | the preserved fd is not there |
 * | `replace NAME PATH` | it is another file |
 * | `another NAME` | it is another object of the same kind, and of the same size |
 * | `resize NAME` | the memfd is said to have had another size |
 * | `unseal` | the CPR state can still be changed |
 * | `number TEXT` | the environment names another fd, or none |
 * | `copy WHICH PATH` | nothing: it is written to PATH, as it is |
 *
 * WHICH is `cpr`, the CPR state, `main`, the saved state, or `file`, the saved state in a file that a uri names. AT is in
 * bytes, from the end where negative, or in percent.
 */
import { readFileSync, writeFileSync } from "node:fs";
import {
  CPR_FD,
  CPR_STATE_ENV,
  type CprState,
  decodeCprState,
  encodeCprState,
  identifyFd,
  type PreservedFd,
  readSealedMemfd,
  sealedMemfd,
} from "@vmm/cpr";
import {
  close,
  dup3,
  execve,
  ftruncate,
  ioctl,
  MFD_CLOEXEC,
  memfdCreate,
  O_RDONLY,
  O_RDWR,
  open,
  openFds,
  pwriteAll,
  SOCK_SEQPACKET,
  setCloexec,
  socketpair,
} from "@vmm/libc";
import { KVM_CREATE_VM } from "@vmm/vmm/accel/kvm/uapi/kvm.ts";

const LIMIT = 1 << 28;
const env = process.env;

function position(at: string, length: number): number {
  const n = Number.parseFloat(at);
  if (at.endsWith("%")) return Math.floor((length * n) / 100);
  return n < 0 ? length + n : n;
}

function damaged(how: "cut" | "flip", bytes: Uint8Array, at: string): Uint8Array {
  const position_ = position(at, bytes.length);
  if (!(position_ >= 0 && position_ < bytes.length)) {
    // the update completes then: a row that damages nothing must not pass
    console.error(`damage: there is no byte ${at} of ${bytes.length}`);
    return bytes;
  }
  if (how === "cut") return bytes.slice(0, position_);
  const copy = bytes.slice();
  copy[position_] = (copy[position_] as number) ^ 0x20;
  return copy;
}

const stateFd = Number(env[CPR_STATE_ENV]);
const stateBytes = readSealedMemfd(stateFd, "CPR state", LIMIT);
const state = decodeCprState(stateBytes);

function entryOf(name: string): PreservedFd {
  const entry = state.fds.find((candidate) => candidate.name === name);
  if (!entry) throw new Error(`no fd "${name}" among ${state.fds.map((other) => other.name).join(", ")}`);
  return entry;
}

const fdOf = (name: string): number => entryOf(name).fd;

const mainBytes = (): Uint8Array => readSealedMemfd(fdOf(CPR_FD.main), "saved state", LIMIT);

/** Has the new VMM find another CPR state. */
function hand(bytes: Uint8Array): void {
  env[CPR_STATE_ENV] = String(sealedMemfd("vmm-cpr-state", bytes));
}

/** Has it find another saved state, whose fd is described as it is: the damage is in the bytes alone. */
function handMain(bytes: Uint8Array): void {
  const fd = sealedMemfd("vmm-device-state", bytes);
  handFd({ ...entryOf(CPR_FD.main), ...identifyFd(fd), fd });
}

/** Has it find another description of an fd. */
function handFd(changed: PreservedFd): void {
  const fds = state.fds.map((entry) => (entry.name === changed.name ? changed : entry));
  hand(encodeCprState({ ...state, fds } satisfies CprState));
}

/** An object of the same kind. */
function twinOf({ kind, name, size }: PreservedFd): number {
  if (kind === "socket") return socketpair(SOCK_SEQPACKET)[0];
  if (kind === "file") return open(process.execPath, O_RDONLY);
  if (kind === "anonymous") return ioctl(open("/dev/kvm", O_RDWR), KVM_CREATE_VM, 0);
  if (kind !== "memfd") throw new Error(`no other ${kind} is at hand`);
  const fd = memfdCreate(name, MFD_CLOEXEC);
  ftruncate(fd, size);
  return fd;
}

const KINDS: Readonly<Record<string, (...words: string[]) => void>> = {
  cut: (which = "", at = "") => change("cut", which, at),
  flip: (which = "", at = "") => change("flip", which, at),
  close: (name = "") => close(fdOf(name)),
  replace(name = "", path = "") {
    dup3(open(path, O_RDWR), fdOf(name), 0);
  },
  another: (name = "") => dup3(twinOf(entryOf(name)), fdOf(name), 0),
  // not the memfd itself: it is the old VMM's too
  resize: (name = "") => handFd({ ...entryOf(name), size: entryOf(name).size + 4096 }),
  unseal() {
    const fd = memfdCreate("vmm-cpr-state", MFD_CLOEXEC);
    pwriteAll(fd, stateBytes, 0);
    env[CPR_STATE_ENV] = String(fd);
  },
  number(text = "") {
    env[CPR_STATE_ENV] = text;
  },
  copy(which = "", path = "") {
    writeFileSync(path, which === "cpr" ? stateBytes : mainBytes());
  },
};

function change(how: "cut" | "flip", which: string, at: string): void {
  if (which === "cpr") hand(damaged(how, stateBytes, at));
  else if (which === "file") changeFile(how, at);
  else handMain(damaged(how, mainBytes(), at));
}

function changeFile(how: "cut" | "flip", at: string): void {
  if (state.main.type !== "file") throw new Error("the state is in no file");
  const { path } = state.main;
  writeFileSync(path, damaged(how, readFileSync(path), at));
}

const words = process.argv.slice(2);
const [kind = "", ...details] = words.slice(0, words.indexOf("--"));
const command = words.slice(words.indexOf("--") + 1);
const damage = KINDS[kind];
if (!damage) throw new Error(`${kind}: no kind of damage`);
damage(...details);
// Bun has marked all of them to be closed by exec
for (const fd of openFds()) setCloexec(fd, false);
execve(command[0] as string, command, env);
