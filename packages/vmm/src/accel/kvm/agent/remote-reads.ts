/** State reads that an agent makes: requests and buffers go through its shared memory, in one batch. */
import { type BatchArgument, batchSize, encodeBatch, SYS, SyscallError } from "@vmm/libc";
import { VmmError } from "../../../vmm-error.ts";
import { type StateRead, setPointer } from "../state-read.ts";
import { AGENT_SPACE, type AgentHandle, BATCH } from "./agent-control.ts";

const ALIGN = 64;
const align = (offset: number) => Math.ceil(offset / ALIGN) * ALIGN;

export class RemoteReads {
  readonly #agent: AgentHandle;
  /** The agent's memory, as the agent sees it. */
  readonly #base: number;
  #fd = 0;
  #reads: readonly StateRead[] = [];
  #copies: Uint8Array[] = [];
  #results: BigInt64Array<ArrayBufferLike> = new BigInt64Array();

  /** @param base The first agent's memory, as the agents see it. */
  constructor(agent: AgentHandle, base: number, vcpu: number) {
    this.#agent = agent;
    this.#base = base + vcpu * AGENT_SPACE;
  }

  /** Lays requests on the agent's `fd` out, for `begin`. */
  prepare(fd: number, reads: readonly StateRead[]): void {
    this.#fd = fd;
    this.#reads = reads;
    let at = align(BATCH + batchSize(reads.length));
    const offsets = reads.map(({ buffer }) => {
      const offset = at;
      at = align(at + buffer.length);
      return offset;
    });
    if (at > AGENT_SPACE)
      throw new VmmError("state", `a vCPU's state of ${at} bytes is too large for its agent`);
    this.#copies = reads.map(({ buffer, pointer }, i) => {
      const copy = new Uint8Array(this.#agent.buffer, offsets[i] as number, buffer.length);
      copy.set(buffer);
      if (pointer) setPointer(copy, pointer.field, this.#base + (offsets[i] as number) + pointer.target);
      return copy;
    });
    const calls = reads.map(({ request }, i) => ({
      number: SYS.ioctl,
      args: [fd, request.number, this.#base + (offsets[i] as number)] as BatchArgument[],
    }));
    this.#encode(calls);
  }

  /** Starts to make the requests that were prepared. */
  begin(): void {
    this.#agent.command("batch");
  }

  /** Waits for the requests; the buffers are filled then. @throws SyscallError */
  finish(): void {
    this.#agent.awaitParked();
    this.#reads.forEach(({ request, buffer }, i) => {
      const result = Number(this.#results[i]);
      if (result < 0)
        throw new SyscallError("ioctl", -result, `${request.name} on an agent's fd ${this.#fd}`);
      buffer.set(this.#copies[i] as Uint8Array);
    });
  }

  /** Makes one system call and gives its result, a negative errno where it failed. */
  call(number: number, args: readonly BatchArgument[]): number {
    this.#encode([{ number, args }]);
    this.begin();
    this.#agent.awaitParked();
    return Number(this.#results[0]);
  }

  #encode(calls: readonly { number: number; args: readonly BatchArgument[] }[]): void {
    const area = { buffer: this.#agent.buffer, offset: BATCH, address: this.#base + BATCH };
    this.#results = encodeBatch(calls, area);
    this.#agent.control.batch = BigInt(area.address);
  }
}
