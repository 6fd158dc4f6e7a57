/** The same bytes to QEMU and to our server: what one refuses the other refuses, in the same words. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close } from "@vmm/libc";
import fc from "fast-check";
import { until } from "../../test/chardev-fixture.ts";
import { QmpFixture, RawClient } from "../../test/qmp-fixture.ts";

const QEMU = Bun.which("qemu-system-x86_64");

/** QEMU without a machine, and a client of it that has not negotiated. */
async function startQemu(command: string) {
  const folder = mkdtempSync(join(tmpdir(), "vmm-qemu-"));
  const path = join(folder, "qmp.sock");
  const qemu = Bun.spawn(
    [command, "-machine", "none", "-S", "-display", "none", "-qmp", `unix:${path},server=on,wait=off`],
    { stdio: ["ignore", "ignore", "ignore"] },
  );
  const end = async () => {
    qemu.kill("SIGKILL");
    await qemu.exited;
    rmSync(folder, { recursive: true });
  };
  try {
    let client: RawClient | undefined;
    await until(() => {
      try {
        client = new RawClient(path);
        return true;
      } catch {
        return false;
      }
    }, "QEMU's socket");
    return { client: client as RawClient, end };
  } catch (error) {
    await end();
    throw error;
  }
}

interface Answer {
  readonly id?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
}

/** All answers to `input`, without the content of results, which differ. A request with an id of its own ends them. */
async function answers(client: RawClient, input: string | Uint8Array): Promise<Answer[]> {
  const last = `last ${Math.random()}`;
  client.send(input);
  // a newline ends what may hang in the air
  client.send(`\n${JSON.stringify({ execute: "qmp_capabilities", arguments: { last }, id: last })}`);
  const all: Answer[] = [];
  for (;;) {
    const { id, error } = await client.next();
    if (id === last) return all;
    all.push(error ? { ...(id !== undefined && { id }), error } : { id });
  }
}

/** `point` as UTF-8 would have it, whether it is a character or not. */
function rawSequence(point: number): Buffer {
  const rest = (shift: number) => 0x80 | ((point >> shift) & 0x3f);
  if (point < 0x800) return Buffer.of(0xc0 | (point >> 6), rest(0));
  if (point < 0x1_0000) return Buffer.of(0xe0 | (point >> 12), rest(6), rest(0));
  return Buffer.of(0xf0 | (point >> 18), rest(12), rest(6), rest(0));
}

describe.skipIf(QEMU === null)("QEMU answers as we do (needs qemu-system-x86_64)", () => {
  let qemu: Awaited<ReturnType<typeof startQemu>>;
  let ours: QmpFixture;
  let client: RawClient;

  beforeAll(async () => {
    qemu = await startQemu(QEMU as string);
    ours = new QmpFixture();
    client = ours.raw();
    for (const each of [qemu.client, client]) await each.next();
  });

  afterAll(async () => {
    close(qemu.client.fd);
    await qemu.end();
    await ours[Symbol.asyncDispose]();
  });

  async function compare(input: string | Uint8Array): Promise<void> {
    expect(await answers(client, input)).toEqual(await answers(qemu.client, input));
  }

  test("before negotiation", async () => {
    for (const input of [
      '{"execute":"query-version"}',
      '{"execute":"nope","id":1}',
      '{"execute":"qmp_capabilities","arguments":{"enable":["foo"]}}',
      '{"execute":"qmp_capabilities","arguments":{"enable":5}}',
      '{"execute":"qmp_capabilities","arguments":{"enable":[5]}}',
      '{"execute":"qmp_capabilities","arguments":{"x":1}}',
      '{"exec-oob":"qmp_capabilities"}',
      "{}",
    ]) {
      await compare(input);
    }
  });

  test("to the envelope of requests", async () => {
    for (const each of [qemu.client, client]) await each.ask('{"execute":"qmp_capabilities"}');
    for (const input of [
      '{"execute":"qmp_capabilities"}',
      '{"execute":"nope","id":{"a":1}}',
      '{"exec-oob":"query-version","id":1}',
      '{"foo":1}',
      '{"execute":1}',
      '{"execute":"query-version","control":1}',
      '{"execute":"query-version","arguments":1}',
      '{"execute":"query-version","arguments":null}',
      '{"execute":"query-version","arguments":{"x":1}}',
      '{"id":5}',
      "[1,2]",
      '1 "x" null ',
      '{"execute":"query-name","id":[1,2.5,1e3,-9223372036854775808,null,{"a":"\\u00e9"}]}',
      '{"execute":"query-version","id":1}{"execute":"query-name","id":2}',
    ]) {
      await compare(input);
    }
  });

  test("to arguments", async () => {
    const commands: [string, ...unknown[]][] = [
      ["migrate-set-parameters", {}, { mode: "foo" }, { mode: 1 }, { mode: null }, { nope: 1 }],
      ["migrate-set-parameters", { nope: 1, mode: "foo" }, { mode: [] }, { mode: {} }],
      ["migrate-set-capabilities", {}, { capabilities: 1 }, { capabilities: [1] }, { capabilities: [{}] }],
      [
        "migrate-set-capabilities",
        { capabilities: [{ capability: "foo", state: true }] },
        { capabilities: [{ capability: "events" }] },
        { capabilities: [{ capability: "events", state: 1 }] },
        { capabilities: [{ capability: "events", state: true, z: 1 }] },
        { capabilities: [{ capability: 5, state: true }] },
        { capabilities: [{ capability: "events", state: false }, { capability: "events" }] },
      ],
      ["migrate", {}, { uri: 5 }, { channels: 5 }, { channels: [] }, { channels: [5] }],
      ["migrate", { uri: "file:x", zz: 1 }, { uri: "file:x", detach: 5 }, { uri: "file:x", resume: true }],
      ...[
        {},
        { addr: 5 },
        { "channel-type": "main" },
        { "channel-type": "foo", addr: {} },
        { "channel-type": "main", addr: 5 },
        { "channel-type": "main", addr: {} },
        { "channel-type": "main", addr: { transport: 5 } },
        { "channel-type": "main", addr: { transport: "foo" } },
        { "channel-type": "main", addr: { transport: "file" } },
        { "channel-type": "main", addr: { transport: "file", filename: "x" } },
        { "channel-type": "main", addr: { transport: "file", filename: "x", offset: "a" } },
        { "channel-type": "main", addr: { transport: "file", filename: "x", offset: 0, q: 1 } },
        { "channel-type": "main", addr: { transport: "socket" } },
        { "channel-type": "main", addr: { transport: "socket", type: "zzz" } },
        { "channel-type": "main", addr: { transport: "socket", type: "unix" } },
      ].map((channel): [string, unknown] => ["migrate", { channels: [channel] }]),
      ["migrate-incoming", { uri: "file:/x" }, { uri: "file:/x", "exit-on-error": 1 }],
      ["migrate_cancel", {}, { x: 1 }],
      ["getfd", {}, { fdname: 5 }, { fdname: "x" }, { fdname: "1" }],
      ["closefd", {}, { fdname: "x" }],
      ["human-monitor-command", {}, { "command-line": 5 }],
      [
        "human-monitor-command",
        { "command-line": "info status", "cpu-index": 9 },
        { "command-line": "info status", "cpu-index": -1 },
        { "command-line": "info status", "cpu-index": 1.5 },
        { "command-line": "info status", "cpu-index": "x" },
      ],
      ["query-status", { x: 1 }],
      ["stop", { x: 1 }],
    ];
    for (const [execute, ...variants] of commands) {
      for (const args of variants) await compare(JSON.stringify({ execute, arguments: args }));
    }
  });

  test("of the human monitor too", async () => {
    const ask = (each: RawClient, line: string) =>
      each.ask({ execute: "human-monitor-command", arguments: { "command-line": line } });
    for (const line of [
      "",
      " \t",
      "foo bar",
      "info foo",
      "info status x",
      "info migrate -a",
      "info mtree x",
      "help foo",
      'info "status',
    ]) {
      expect(await ask(client, line)).toEqual(await ask(qemu.client, line));
    }
  });

  test("to anything that looks like JSON, or does not", async () => {
    const piece = fc.constantFrom(
      ..."{}[]:,\"'\\".split(""),
      ...'{"a":|["b",|"x"|\'y\'|"\\u00e9"|"\\ud83d\\ude00"|"\\ud800"|"\\q"|"\\uffff"|"é"'.split("|"),
      ..."true|false|null|tru|-1|0|01|1.5|1.|1e9|1e|-|+|%|@|A|\t|\n| |\0|\x01|\x7f".split("|"),
      '{"execute":"query-name"}',
      '{"execute":"nope"}',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
        // whatever is open is closed in the end
        await compare(`${pieces.join("")}\n"'\n${"]}".repeat(24)}`);
      }),
      { numRuns: 300 },
    );
  });

  test("to bytes that are no text", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 12 }), async (noise) => {
        await compare(Buffer.concat([noise, Buffer.from(`\n"'\n${"]}".repeat(24)}`)]));
      }),
      { numRuns: 200, examples: [[Uint8Array.of(0x27, 0xf4, 0x90)]] },
    );
  });

  test("to strings of any bytes", async () => {
    const piece = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 6 }),
      // near what is a character, and what is none
      fc.integer({ min: 0x80, max: 0x1f_ffff }).map(rawSequence),
      fc
        .constantFrom("\\", "\\u", "\\ud83d\\ude00", "\\uffff", "\\u0000", "\\q", "\\ud8", "é", "a")
        .map((each) => Buffer.from(each)),
      fc
        .constantFrom(
          [0xc0, 0x80],
          [0xe0, 0x80, 0x80],
          [0xed, 0xa0, 0x80],
          [0xef, 0xbf, 0xbf],
          [0xef, 0xb7, 0x90],
        )
        .map(Buffer.from),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 4 }), async (pieces) => {
        const id = Buffer.concat([Buffer.from('{"id":"'), ...pieces, Buffer.from('","execute":"nope"}')]);
        await compare(Buffer.concat([id, Buffer.from(`\n"'\n${"]}".repeat(24)}`)]));
      }),
      { numRuns: 300 },
    );
  });
});
