/**
 * CPR state: what a new VMM process must know before anything else. Which fds it has and what they are, where the saved
 * device state is, and how to go back: the old command, why it failed before, how often.
 *
 * In an envelope, as JSON, so that it can be read with nothing but this file's description of it.
 */
import { CprError } from "./cpr-error.ts";
import type { PreservedFd, PreservedFdKind } from "./fd-identity.ts";
import { MAX_FD_NAME, MAX_FDS } from "./fd-table.ts";
import { type IdEntry, MAX_IDS } from "./id-table.ts";
import { type Json, JsonChecker, type JsonObject } from "./json-check.ts";
import { MIGRATION_MODES, type MigrationMode } from "./modes.ts";
import { MAX_PHASES, type Phase } from "./phases.ts";
import { ENVELOPE_SIZE, type FileFormat, openEnvelope, sealEnvelope } from "./state/envelope.ts";

const FORMAT: FileFormat = { magic: "VMMCPRST", version: 1, what: "CPR state", limit: 16 << 20 };

/** How the names of cpr's own fds begin; others must not use it. */
export const CPR_PREFIX = "cpr:";

/** Names of the fds that cpr itself carries over. */
export const CPR_FD = {
  /** The main channel: the sealed memfd with the device state. */
  main: "cpr:main",
  /** The commit word's page. */
  commitWord: "cpr:commit-word",
  /** Of a transfer: the memory by which the state goes. */
  stateWindow: "cpr:state-window",
  /** The socket to the keeper. */
  keeper: "cpr:keeper",
  /** The program that ran, as an open file. */
  oldExe: "cpr:old-exe",
  /** The folder that it worked in. */
  oldFolder: "cpr:old-folder",
  /** Of a preflight: the memfd for the answer. */
  preflightReport: "cpr:preflight-report",
} as const;

/** Where the device state is: in the fd `cpr:main`, or in a file. */
export type MainChannel =
  | { readonly type: "memfd" }
  /**
   * `offset` in bytes from the start of the file; `aside`: where the file is now that had the name before; `created`: with an
   * offset, there was none.
   */
  | {
      readonly type: "file";
      readonly path: string;
      readonly offset: number;
      readonly aside?: string;
      readonly created?: boolean;
    };

export interface CprState {
  /** The version of the program that wrote it. */
  readonly writer: string;
  readonly mode: MigrationMode;
  /** 0 for the command that the user gave; counts up with each return to the old one. */
  readonly attempt: number;
  /** Why the attempts before failed. */
  readonly failure?: string;
  readonly fds: readonly PreservedFd[];
  readonly ids: readonly IdEntry[];
  readonly main: MainChannel;
  /** The command line that ran before, to be run again from the fd `cpr:old-exe`. */
  readonly oldCommand: readonly string[];
  /** What that command found around it: for `readSurroundings`, since only who goes back has time to look at it. */
  readonly oldSurroundings?: JsonObject;
  /** What its machine was built from: the file that the command line names may hold something else by then. */
  readonly oldConfiguration?: JsonObject;
  /** Children that the new process inherits and has to reap. */
  readonly children: {
    /** Shares the old address space, so that exec need not tear it down; to be killed once the guest runs. */
    readonly teardownHelper?: number;
    /** Ends by itself after the commit. */
    readonly keeper?: number;
  };
  /** CLOCK_MONOTONIC in ns when the migration began, and when its setup was over. */
  readonly startNs: number;
  readonly setupEndNs: number;
  /** How much memory the old VMM keeps locked (bytes), so that whoever is asked can tell whether it may. */
  readonly lockedBytes?: number;
  readonly phases: readonly Phase[];
}

/** The bytes of a CPR state. */
export function encodeCprState(state: CprState): Uint8Array<ArrayBuffer> {
  const json = Buffer.from(JSON.stringify(state));
  const whole = new Uint8Array(new ArrayBuffer(ENVELOPE_SIZE + json.length));
  whole.set(json, ENVELOPE_SIZE);
  sealEnvelope(FORMAT, whole);
  return whole;
}

/**
 * Reads a CPR state.
 *
 * @throws CprError `state-*`
 */
export function decodeCprState(whole: Uint8Array): CprState {
  const contents = openEnvelope(FORMAT, whole);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(contents));
  } catch (cause) {
    throw new CprError("state-invalid", "the CPR state is not JSON", { cause });
  }
  return checkCprState(json);
}

const check = new JsonChecker("state-invalid", "the CPR state");
const MAX_FD = 1 << 30;
const MAX_PID = 1 << 22;
const MAX_ARGUMENTS = 1 << 16;

/** Checks that a value is a CPR state; unknown entries are ignored. @throws CprError `state-invalid` */
export function checkCprState(value: unknown): CprState {
  const state = check.object(value, "the whole");
  const children = check.object(state.children, "children");
  const pid = (name: string) =>
    children[name] === undefined ? {} : { [name]: check.integer(children[name], name, 1, MAX_PID) };
  const object = (name: string) =>
    state[name] === undefined ? {} : { [name]: check.object(state[name], name) };
  return {
    writer: check.string(state.writer, "writer", 255),
    mode: check.oneOf(state.mode, "mode", MIGRATION_MODES),
    attempt: check.integer(state.attempt, "attempt", 0, 1000),
    ...(state.failure === undefined ? {} : { failure: check.string(state.failure, "failure", 1 << 16) }),
    fds: check.array(state.fds, "fds", MAX_FDS).map(checkFd),
    ids: check.array(state.ids, "ids", MAX_IDS).map(checkId),
    main: checkMain(state.main),
    oldCommand: check.strings(state.oldCommand, "oldCommand", MAX_ARGUMENTS),
    ...object("oldSurroundings"),
    ...object("oldConfiguration"),
    children: { ...pid("teardownHelper"), ...pid("keeper") },
    startNs: check.number(state.startNs, "startNs"),
    setupEndNs: check.number(state.setupEndNs, "setupEndNs"),
    ...(state.lockedBytes === undefined
      ? {}
      : { lockedBytes: check.integer(state.lockedBytes, "lockedBytes", 0) }),
    phases: check.array(state.phases, "phases", MAX_PHASES).map(checkPhase),
  };
}

function checkFd(value: Json, index: number): PreservedFd {
  const part = `fds[${index}]`;
  const fd = check.object(value, part);
  return {
    name: check.string(fd.name, `${part}.name`, MAX_FD_NAME),
    id: check.integer(fd.id, `${part}.id`, 0, 0x7fffffff),
    fd: check.integer(fd.fd, `${part}.fd`, 0, MAX_FD),
    kind: check.string(fd.kind, `${part}.kind`, 32) as PreservedFdKind,
    dev: check.string(fd.dev, `${part}.dev`, 32),
    ino: check.string(fd.ino, `${part}.ino`, 32),
    size: check.integer(fd.size, `${part}.size`, -1),
  };
}

function checkId(value: Json, index: number): IdEntry {
  const id = check.object(value, `ids[${index}]`);
  return {
    name: check.string(id.name, `ids[${index}].name`, MAX_FD_NAME),
    value: check.integer(id.value, `ids[${index}].value`, 0, 0xffffffff),
  };
}

export function checkMain(value: unknown): MainChannel {
  const main = check.object(value, "main");
  const type = check.oneOf(main.type, "main.type", ["memfd", "file"]);
  if (type === "memfd") return { type };
  return {
    type,
    path: check.string(main.path, "main.path"),
    offset: check.integer(main.offset, "main.offset"),
    ...(main.aside === undefined ? {} : { aside: check.string(main.aside, "main.aside") }),
    ...(main.created === true && { created: true }),
  };
}

export function checkPhase(value: Json, index: number): Phase {
  const phase = check.object(value, `phases[${index}]`);
  return {
    name: check.string(phase.name, `phases[${index}].name`, 64),
    startNs: check.number(phase.startNs, `phases[${index}].startNs`),
    endNs: check.number(phase.endNs, `phases[${index}].endNs`),
  };
}
