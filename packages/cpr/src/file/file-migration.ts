/**
 * cpr-reboot and normal: a copy of the stopped guest in a file, from which it is started again, also after the host was.
 * The guest stays here, stopped; the user ends it or lets it go on.
 *
 * RAM in a file of its own stays where it is, in cpr-reboot and where capability x-ignore-shared asks for it; all other
 * RAM is copied behind the state.
 */
import { fsync } from "@vmm/libc";
import { CprError } from "../cpr-error.ts";
import { faultPoint } from "../fault.ts";
import type { CprHost, RamBlock } from "../host.ts";
import type { Attempt } from "../migration/attempt.ts";
import type { Channel, Channels } from "../migration/channels.ts";
import type { ModeDriver } from "../migration/mode-driver.ts";
import type { MigrationMode } from "../modes.ts";
import { timeOfRam } from "../ram/file-time.ts";
import type { RamPlacement } from "../ram/placement.ts";
import { takeSamples } from "../ram/samples.ts";
import { writeRam } from "../ram/write-ram.ts";
import { encodeState } from "../state/codec.ts";
import type { StateHeader } from "../state/header.ts";
import type { SavedRecord } from "../state/record.ts";
import { StateFile } from "../state-file.ts";
import { checkStateTarget } from "../state-target.ts";

export interface FileMigrationOptions {
  readonly host: CprHost;
  readonly mode: MigrationMode;
  readonly channels: Channels;
  /** Capability x-ignore-shared. */
  readonly ignoreShared: boolean;
}

/** How many MiB are copied between two looks at whether to go on. */
const STEPS = 16;

const breathe = () => new Promise<void>((resolve) => setImmediate(resolve));

export class FileMigration implements ModeDriver {
  readonly completesLate = true;
  readonly keepsGuest = true;
  readonly #options: FileMigrationOptions;
  readonly #channel: Extract<Channel, { type: "file" }>;
  #file: StateFile | undefined;

  /** @throws CprError `channel` where the main channel is not a file. */
  constructor(options: FileMigrationOptions) {
    const { main, cpr } = options.channels;
    if (cpr || main?.type !== "file") {
      const help = "give uri file:PATH, and no cpr channel";
      throw new CprError("channel", `mode ${options.mode} saves to a file: ${help}`);
    }
    this.#options = options;
    this.#channel = main;
  }

  check(): void {
    checkStateTarget(this.#channel.path, this.#channel.offset, this.#options.host.ramBlocks());
  }

  async prepare({ undo }: Attempt): Promise<void> {
    const file = new StateFile(this.#channel.path, this.#channel.offset);
    undo.push("create state file", () => file.abandon());
    this.#file = file;
  }

  save({ host }: Attempt, header: StateHeader, records: readonly SavedRecord[]): number {
    const ram = host.ramBlocks().map((block) => this.#place(block));
    const config = host.configuration?.();
    const machine = config ? { ...header.machine, config } : header.machine;
    const bytes = encodeState({ ...header, machine, ram }, records);
    this.#file?.append(bytes);
    return bytes.length;
  }

  async switchOver(attempt: Attempt): Promise<void> {
    const file = this.#file as StateFile;
    const blocks = attempt.host.ramBlocks();
    attempt.phases.begin("copy RAM");
    faultPoint("copy-ram");
    await this.#copy(attempt, file, blocks);
    attempt.phases.begin("sync");
    faultPoint("finish-file");
    const durable = this.#options.mode === "cpr-reboot";
    if (durable) for (const { fd, ...block } of blocks) if (fd !== undefined && this.#stays(block)) fsync(fd);
    file.finish(durable);
  }

  async settled(): Promise<void> {}

  async #copy(attempt: Attempt, file: StateFile, blocks: readonly RamBlock[]): Promise<void> {
    const copied = blocks.map((block) => (this.#stays(block) ? undefined : block));
    if (copied.every((block) => block === undefined)) return;
    let steps = 0;
    for (const bytes of writeRam(file, copied)) {
      attempt.ramBytes = bytes;
      if (++steps % STEPS !== 0) continue;
      await breathe();
      attempt.goOn();
    }
  }

  #stays({ shared, path }: Pick<RamBlock, "shared" | "path">): boolean {
    return this.#options.mode === "cpr-reboot" && this.#options.ignoreShared && shared && path !== undefined;
  }

  #place(block: RamBlock): RamPlacement {
    const { name, size, path, fd } = block;
    if (!this.#stays(block) || path === undefined || fd === undefined) return { name, size, place: "stream" };
    const modified = String(timeOfRam(fd));
    return { name, size, place: "file", path, modified, samples: takeSamples(block) };
  }
}
