/** Where the state goes: the `uri` and `channels` arguments of `migrate` and `migrate-incoming`, as QEMU has them. */
import { CprError } from "../cpr-error.ts";
import { JsonChecker, type JsonObject } from "../json-check.ts";

/** `file`: offset in bytes from the start of the file. `unix`: a socket's path. */
export type Channel =
  | { readonly type: "file"; readonly path: string; readonly offset: number }
  | { readonly type: "unix"; readonly path: string };

/** The channels of a migration: `main` for the device state, `cpr` for the fds of a transfer. */
export interface Channels {
  readonly main?: Channel;
  readonly cpr?: Channel;
}

export interface ChannelArguments {
  readonly uri?: unknown;
  readonly channels?: unknown;
}

const check = new JsonChecker("channel", "channels");

const OFFSET = ",offset=";
/** What QEMU's sizes may end in, as powers of 1024. */
const SUFFIXES = "bkmgtpe";

/** An offset as QEMU takes it: decimal or hexadecimal, and a suffix. */
function parseOffset(text: string): number | undefined {
  const [, digits = "", suffix = ""] = /^(0x[0-9a-f]+|\d+)([bkmgtpe]?)$/i.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** Math.max(0, SUFFIXES.indexOf(suffix.toLowerCase() || "b"));
  return digits !== "" && Number.isSafeInteger(bytes) ? bytes : undefined;
}

function fileUri(rest: string): Channel {
  const at = rest.lastIndexOf(OFFSET);
  const path = at === -1 ? rest : rest.slice(0, at);
  if (path === "") throw new CprError("channel", `uri 'file:${rest}' names no file`);
  const offset = at === -1 ? 0 : parseOffset(rest.slice(at + OFFSET.length));
  if (offset === undefined) throw new CprError("channel", `file URI has bad offset: 'file:${rest}'`);
  return file(path, offset);
}

/** A relative path would be taken from the VM's own folder, which goes with the VM. */
function file(path: string, offset: number): Channel {
  if (!path.startsWith("/"))
    throw new CprError("channel", `'${path}' is not an absolute path: it would be in the VM's own folder`);
  return { type: "file", path, offset };
}

/**
 * Reads a uri: `file:PATH[,offset=BYTES]`, `unix:PATH` or `cpr:PATH` (the CPR channel of a transfer, alone).
 *
 * @throws CprError `channel`
 */
export function parseUri(uri: string): Channels {
  const [, scheme, rest = ""] = /^([a-z]+):(.*)$/s.exec(uri) ?? [];
  if (scheme === "file") return { main: fileUri(rest) };
  if ((scheme === "unix" || scheme === "cpr") && rest !== "") {
    return { [scheme === "cpr" ? "cpr" : "main"]: { type: "unix", path: rest } };
  }
  throw new CprError(
    "channel",
    `unknown migration protocol: ${uri} (there are file:PATH, unix:PATH and cpr:PATH)`,
  );
}

function address(addr: JsonObject, part: string): Channel {
  if (addr.transport === "file") {
    const path = check.string(addr.filename, `${part}.filename`);
    return file(path, check.integer(addr.offset ?? 0, `${part}.offset`));
  }
  if (addr.transport === "socket" && addr.type === "unix") {
    return { type: "unix", path: check.string(addr.path, `${part}.path`) };
  }
  throw new CprError("channel", `channels: ${part} has a transport that is not file or a unix socket`);
}

/**
 * Reads the `channels` argument: a list of `{ "channel-type": "main" | "cpr", "addr": {...} }`.
 *
 * @throws CprError `channel`
 */
export function parseChannels(value: unknown): Channels {
  const result: { main?: Channel; cpr?: Channel } = {};
  check.array(value, "the whole", 2).forEach((item, i) => {
    const channel = check.object(item, `channels[${i}]`);
    const type = check.oneOf(channel["channel-type"], `channels[${i}].channel-type`, ["main", "cpr"]);
    if (result[type]) throw new CprError("channel", `Channel list has more than one ${type} entry`);
    result[type] = address(check.object(channel.addr, `channels[${i}].addr`), `channels[${i}].addr`);
  });
  if (!result.main) throw new CprError("channel", "Channel list has no main entry");
  return result;
}

/** Reads whichever of the two is given; neither is an empty answer. @throws CprError `channel` where both are. */
export function readChannels({ uri, channels }: ChannelArguments): Channels {
  if (uri !== undefined && channels !== undefined) {
    throw new CprError(
      "channel",
      "'uri' and 'channels' arguments are mutually exclusive; exactly one may be given",
    );
  }
  if (channels !== undefined) return parseChannels(channels);
  if (uri === undefined) return {};
  if (typeof uri !== "string") throw new CprError("channel", "'uri' expects a string");
  return parseUri(uri);
}
