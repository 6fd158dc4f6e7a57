/** A QMP server on a real socket, over a machine small enough for a test, and clients that speak raw bytes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Capabilities,
  CprError,
  changeCapabilities,
  changeParameters,
  DEFAULT_CAPABILITIES,
  DEFAULT_PARAMETERS,
  type MigrateArguments,
  type MigrationInfo,
  type MigrationParameters,
  type PreflightReport,
} from "@vmm/cpr";
import {
  close,
  connectUnix,
  read,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  type SyscallError,
  sendmsg,
} from "@vmm/libc";
import { EventSource } from "../src/machine/machine-events.ts";
import type { IncomingArguments, QmpHost, QmpMigration } from "../src/qmp/qmp-host.ts";
import { QmpServer } from "../src/qmp/qmp-server.ts";
import { listenUnix, Reactor } from "../src/reactor/index.ts";
import { RunStateMachine } from "../src/run-state/index.ts";
import { VmmError } from "../src/vmm-error.ts";
import { until } from "./chardev-fixture.ts";

class TestMigration implements QmpMigration {
  parameters: MigrationParameters = DEFAULT_PARAMETERS;
  capabilities: Capabilities = DEFAULT_CAPABILITIES;
  current: MigrationInfo = { status: "none" };
  /** What was asked for. */
  readonly calls: unknown[] = [];
  /** What `migrate` waits for. */
  started: Promise<void> = Promise.resolve();

  info = () => this.current;
  setParameters(change: Record<string, unknown>): void {
    this.parameters = changeParameters(this.parameters, change);
  }
  async setCapabilities(changes: readonly { capability: string; state: boolean }[]): Promise<void> {
    this.capabilities = changeCapabilities(this.capabilities, changes);
  }
  async migrate(args: MigrateArguments): Promise<void> {
    this.calls.push({ migrate: args });
    await this.started;
    if (this.parameters.mode === "normal") throw new CprError("blocked", "nothing is possible here");
  }
  cancel = () => void this.calls.push("cancel");
  continue = (status: string) => void this.calls.push({ continue: status });
  async preflight(): Promise<PreflightReport> {
    await this.started;
    return { ok: true, version: "1.2.3", blocks: [], warnings: [] };
  }
}

export class TestHost implements QmpHost {
  readonly name = "test vm";
  readonly version = "1.2.3";
  readonly events = new EventSource();
  readonly migration = new TestMigration();
  readonly state = new RunStateMachine("running");
  readonly quits: number[] = [];
  incoming?: (args: IncomingArguments) => void;
  /** What `stop` waits for. */
  stopped: Promise<void> = Promise.resolve();

  runState = () => this.state.current;
  async stop(): Promise<void> {
    await this.stopped;
    if (this.state.current !== "running") return;
    this.state.set("paused");
    this.events.emit("STOP", {});
  }
  cont(): void {
    if (this.state.needsReset) throw new VmmError("run-state", "Resetting the Virtual Machine is required");
    this.state.set("running");
    this.events.emit("RESUME", {});
  }
  reset = () => this.events.emit("RESET", { guest: false, reason: "host-qmp-system-reset" });
  powerdown = () => this.events.emit("POWERDOWN", {});
  quit = () => {
    this.events.emit("SHUTDOWN", { guest: false, reason: "host-qmp-quit" });
    this.quits.push(performance.now());
  };
  cpus = () => [
    { index: 0, tid: 101 },
    { index: 1, tid: 102 },
  ];
  chardevs = () => [{ label: "serial0", filename: "pty:/dev/pts/0", "frontend-open": true }];
  memorySummary = () => ({ base: 64 << 20, plugged: 0 });
  kvm = () => ({ enabled: true, present: true });
  registersText = (cpu: number) => `EAX=0000000${cpu}\nEIP=0000fff0\n`;
  mtreeText = () => "address-space: memory\n  0000000000000000-0000000003ffffff (prio 0, ram): ram0\n";
}

export class RawClient {
  readonly fd: number;
  ended = false;
  #text = "";

  constructor(path: string) {
    this.fd = connectUnix(path, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
  }

  /** Sends text, or what JSON makes of an object; fds go with the first byte. Returns how many bytes went. */
  send(message: string | object | Uint8Array, fds: readonly number[] = []): number {
    const bytes =
      message instanceof Uint8Array
        ? message
        : Buffer.from(typeof message === "string" ? message : JSON.stringify(message));
    return sendmsg(this.fd, bytes, fds) ?? 0;
  }

  /** All that has come and was not taken. */
  get text(): string {
    const buffer = new Uint8Array(64 * 1024);
    while (!this.ended) {
      let length: number | undefined;
      try {
        length = read(this.fd, buffer);
      } catch (error) {
        if ((error as SyscallError).code !== "ECONNRESET") throw error;
        length = 0;
      }
      if (length === undefined) break;
      this.ended = length === 0;
      this.#text += Buffer.from(buffer.subarray(0, length)).toString("latin1");
    }
    return this.#text;
  }

  /** The next message, of which there must be one soon. */
  // biome-ignore lint/suspicious/noExplicitAny: messages of any shape
  async next(): Promise<any> {
    await until(() => this.text.includes("\n"), "a message");
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return JSON.parse(line);
  }

  /** Sends a request and returns the next message. */
  // biome-ignore lint/suspicious/noExplicitAny: messages of any shape
  ask(message: string | object, fds: readonly number[] = []): Promise<any> {
    this.send(message, fds);
    return this.next();
  }
}

export class QmpFixture {
  readonly folder = mkdtempSync(join(tmpdir(), "vmm-qmp-"));
  readonly path = join(this.folder, "qmp.sock");
  readonly host = new TestHost();
  readonly reactor = new Reactor();
  readonly listener = listenUnix(this.path);
  server = this.newServer();
  #clients: RawClient[] = [];

  newServer(): QmpServer {
    return new QmpServer({ listener: this.listener, reactor: this.reactor, host: this.host });
  }

  /** A client that has not negotiated. */
  raw(): RawClient {
    const client = new RawClient(this.path);
    this.#clients.push(client);
    return client;
  }

  /** A client that has negotiated. */
  async client(capabilities: readonly string[] = []): Promise<RawClient> {
    const client = this.raw();
    await client.next();
    await client.ask({ execute: "qmp_capabilities", arguments: { enable: capabilities } });
    return client;
  }

  disconnect(client: RawClient): void {
    this.#clients.splice(this.#clients.indexOf(client), 1);
    close(client.fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    await this.reactor.close();
    for (const { fd } of this.#clients) close(fd);
    close(this.listener);
    rmSync(this.folder, { recursive: true });
  }
}

export const error = (desc: string, errorClass = "GenericError") => ({ error: { class: errorClass, desc } });
