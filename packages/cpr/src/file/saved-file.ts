/** A saved state in a file, perhaps with the guest's RAM behind it. */
import { close, fstat, preadAll } from "@vmm/libc";
import { CprError, reasonOf } from "../cpr-error.ts";
import type { RamBlock } from "../host.ts";
import { openStateFile } from "../open-state.ts";
import { matchRam, type RamPlacement } from "../ram/placement.ts";
import { readRam } from "../ram/read-ram.ts";
import { checkSamples, notAsItWas } from "../ram/samples.ts";
import { type DecodedState, decodeState } from "../state/codec.ts";
import { ENVELOPE_SIZE, envelopeLength } from "../state/envelope.ts";

/** The largest state in bytes, RAM not counted. */
const LIMIT = 256 << 20;

export class SavedFile {
  readonly path: string;
  readonly state: DecodedState;
  /** Bytes of the state, RAM not counted. */
  readonly stateBytes: number;
  readonly #fd: number;
  readonly #offset: number;
  readonly #size: number;

  /**
   * @param offset In bytes from the start of the file.
   * @throws CprError `save` where it cannot be read, `state-*` where it is not a saved state.
   */
  constructor(path: string, offset = 0) {
    this.path = path;
    this.#offset = offset;
    try {
      this.#fd = openStateFile(path);
    } catch (cause) {
      throw new CprError("save", `cannot read the state in ${path}: ${reasonOf(cause)}`, { cause });
    }
    try {
      this.#size = fstat(this.#fd).size;
      const bytes = this.#readState();
      this.state = decodeState(bytes);
      this.stateBytes = bytes.length;
      if (!this.#hasRam) this.#checkEnd(offset + bytes.length);
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  get #hasRam(): boolean {
    return this.state.header.ram?.some(({ place }) => place === "stream") ?? false;
  }

  /**
   * Fills a machine's RAM from the file, and checks what was left in place.
   *
   * Yields now and then, with the bytes that were loaded so far.
   *
   * @throws CprError `ram`, `state-*`. RAM that was loaded until then stays.
   */
  *loadRam(blocks: readonly RamBlock[]): Generator<number> {
    const { ram, mode } = { ...this.state.header };
    if (!ram) {
      const why = `it was saved in mode ${mode}, which leaves RAM in the process that saved it`;
      throw new CprError("ram", `${this.path} has no RAM of the guest: ${why}`);
    }
    const matched = matchRam(ram, blocks);
    for (const [i, block] of matched.entries()) {
      const placement = ram[i];
      if (placement?.place === "file") this.#checkInPlace(block, placement);
    }
    if (!this.#hasRam) return;
    const streamed = matched.map((block, i) => (ram[i]?.place === "stream" ? block : undefined));
    // pages of zeros are not in the file
    for (const block of streamed) block?.earlier?.empty();
    const end = yield* readRam(this.#fd, this.#offset + this.stateBytes, streamed);
    this.#checkEnd(end);
  }

  close(): void {
    close(this.#fd);
  }

  #readState(): Uint8Array {
    const head = new Uint8Array(new ArrayBuffer(ENVELOPE_SIZE));
    const got = preadAll(this.#fd, head, this.#offset);
    if (got < ENVELOPE_SIZE) return head.subarray(0, got);
    const length = Math.min(envelopeLength(head), LIMIT, this.#size - this.#offset);
    const bytes = new Uint8Array(new ArrayBuffer(Math.max(length, ENVELOPE_SIZE)));
    return bytes.subarray(0, preadAll(this.#fd, bytes, this.#offset));
  }

  #checkInPlace(block: RamBlock, placement: Extract<RamPlacement, { place: "file" }>): void {
    if (!block.shared || block.path === undefined) {
      const help = `start with a memory backend on that file: backend=file,share=on,path=${placement.path}`;
      throw new CprError("ram", `RAM "${block.name}" was left in place in ${placement.path}: ${help}`);
    }
    const { modified, samples } = placement;
    if (modified !== undefined && modified !== String(block.earlier?.modifiedNs)) throw notAsItWas(block);
    checkSamples(block, samples);
  }

  /** Where the state has the file to itself nothing may follow it. */
  #checkEnd(end: number): void {
    if (this.#offset !== 0 || end === this.#size) return;
    throw new CprError(
      "state-corrupt",
      `the saved state is damaged: ${this.#size - end} bytes follow its end`,
    );
  }
}
