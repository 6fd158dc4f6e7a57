/** State reads that an agent makes: requests and buffers go through its shared memory, in one batch. */
import { type BatchArgument, type BatchCall, batchSize, SYS } from "@vmm/libc";
import { VmmError } from "../../../vmm-error.ts";
import {
  type ReadOn,
  type ReadsOn,
  readsOf,
  type StateRead,
  setPointer,
  throwFailed,
} from "../state-read.ts";
import { AGENT_SPACE, type AgentHandle, BATCH } from "./agent-control.ts";

const ALIGN = 64;
const align = (offset: number) => Math.ceil(offset / ALIGN) * ALIGN;

/** A request that was laid out. */
interface LaidOut extends ReadOn {
  /** Its buffer in the agent's memory. */
  readonly copy: Uint8Array;
  /** Where the agent sees that. */
  readonly address: number;
}

export class RemoteReads {
  readonly #agent: AgentHandle;
  /** The agent's memory, as the agent sees it. */
  readonly #base: number;
  #laidOut: readonly LaidOut[] = [];
  #copies = new Map<StateRead, Uint8Array>();
  #results: BigInt64Array<ArrayBufferLike> = new BigInt64Array();

  /** @param base The first agent's memory, as the agents see it. */
  constructor(agent: AgentHandle, base: number, vcpu: number) {
    this.#agent = agent;
    this.#base = base + vcpu * AGENT_SPACE;
  }

  /** Lays requests out, on fds of the agent's, for `begin`. */
  prepare(...groups: readonly ReadsOn[]): void {
    const all = readsOf(groups);
    let at = align(BATCH + batchSize(all.length));
    this.#laidOut = all.map(({ fd, read }) => {
      const offset = at;
      at = align(at + read.buffer.length);
      if (at > AGENT_SPACE) throw new VmmError("state", "a vCPU's state is too large for its agent");
      return { fd, read, copy: this.#copy(read, offset), address: this.#base + offset };
    });
    this.#copies = new Map(this.#laidOut.map(({ read, copy }) => [read, copy]));
    this.#layOut(
      this.#laidOut.map(({ fd, read, address }) => ({
        number: SYS.ioctl,
        args: [fd, read.request.number, address],
      })),
    );
  }

  #copy({ buffer, pointer }: StateRead, offset: number): Uint8Array {
    const copy = new Uint8Array(this.#agent.buffer, offset, buffer.length);
    copy.set(buffer);
    if (pointer) setPointer(copy, pointer.field, this.#base + offset + pointer.target);
    return copy;
  }

  /** Starts to make the requests that were prepared. */
  begin(): void {
    this.#agent.command("batch");
  }

  /** Waits for the requests. @throws SyscallError */
  finish(): void {
    this.#agent.awaitParked();
    if (Number(this.#results.at(-1)) >= 0) return;
    throwFailed(this.#laidOut, (i) => Number(this.#results[i]), "an agent's fd");
  }

  /** What a request gave, in the agent's memory. */
  readonly given = (read: StateRead): Uint8Array => this.#copies.get(read) as Uint8Array;

  /** Copies what requests gave into their own buffers, for records to be made of them. */
  collect(reads: readonly StateRead[]): void {
    for (const read of reads) read.buffer.set(this.given(read));
  }

  /** Makes one system call and gives its result, a negative errno where it failed. */
  call(number: number, args: readonly BatchArgument[]): number {
    this.#layOut([{ number, args }]);
    this.begin();
    this.#agent.awaitParked();
    return Number(this.#results[0]);
  }

  #layOut(calls: readonly BatchCall[]): void {
    this.#results = this.#agent.layOut(calls, this.#base);
  }
}
