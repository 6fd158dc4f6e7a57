/**
 * An agent's control block: shared memory by which whoever has the VM steers the process that runs a vCPU. It outlives the
 * program that made it, in a memfd of the fd table.
 */
import {
  type BatchCall,
  close,
  encodeBatch,
  ftruncate,
  futexWait,
  futexWaitCall,
  futexWake,
  i64,
  MAP_SHARED,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  memfdCreate,
  memoryView,
  mmap,
  monotonicNs,
  munmap,
  PROT_READ,
  PROT_WRITE,
  storeAndWakeCall,
  struct,
  u32,
  u64,
} from "@vmm/libc";
import { VmmError } from "../../../vmm-error.ts";

export const AgentControl = struct("agent-control", {
  /** What is wanted; see `COMMAND`. A futex. */
  command: u32,
  /** What the agent does; see `STATE`. A futex. */
  state: u32,
  /** What KVM_RUN gave last: 0 an exit that waits to be served, else a negative errno. */
  result: i64,
  /** CLOCK_MONOTONIC when the vCPU stood still last. */
  parked_sec: i64,
  parked_nsec: i64,
  /** The kernel's set of the kick signal. */
  kick_set: u64,
  /** A timespec of zero. */
  zero_sec: i64,
  zero_nsec: i64,
  vcpu_fd: u32,
  /** The agent's life in seconds: where nobody ends it before, the kernel does. */
  alarm: u32,
  /** Address, for the agent, of the batch of system calls to make. */
  batch: u64,
});

export const COMMAND = { run: 0, hold: 1, batch: 2 } as const;
/** `resuming`: told to run, and has not yet noticed. */
const STATE = { running: 0, parked: 1, busy: 2, resuming: 3 } as const;

/** What an agent does that was told so, until it notices. */
const STATE_TOLD = { run: STATE.resuming, batch: STATE.busy } as const;

/** Memory of one agent in bytes: the control block, and from `BATCH` on room for a batch with its buffers. */
export const AGENT_SPACE = 256 << 10;
export const BATCH = 4096;

/** An agent that does not answer in this time is lost (ns). */
const PATIENCE_NS = 5e9;
/** One that is well answers in this time (ns). */
const AT_ONCE_NS = 10e6;
/** Time between two looks at an agent that wakes nobody (ns). */
const LOOK_EVERY_NS = 20_000;

/** The control blocks of all vCPUs, mapped. */
export class AgentMemory {
  readonly fd: number;
  /** Address in this process. */
  readonly address: number;
  readonly #size: number;

  /** New ones. */
  static create(vcpus: number): AgentMemory {
    const fd = memfdCreate("vmm-kvm-agents", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    try {
      ftruncate(fd, vcpus * AGENT_SPACE);
      return new AgentMemory(fd, vcpus);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  constructor(fd: number, vcpus: number) {
    this.fd = fd;
    this.#size = vcpus * AGENT_SPACE;
    this.address = mmap({ length: this.#size, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
  }

  /** The memory of one agent. */
  of(vcpu: number): AgentHandle {
    return new AgentHandle(this.address + vcpu * AGENT_SPACE);
  }

  /** Unmaps the memory and closes the fd. */
  close(): void {
    munmap(this.address, this.#size);
    close(this.fd);
  }
}

/** One agent, as seen by who steers it. */
export class AgentHandle {
  readonly buffer: ArrayBuffer;
  readonly control: ReturnType<typeof AgentControl.at>;
  readonly #address: number;
  readonly #words: Int32Array;

  constructor(address: number) {
    this.#address = address;
    this.buffer = memoryView(address, AGENT_SPACE);
    this.control = AgentControl.at(this.buffer);
    this.#words = new Int32Array(this.buffer, 0, 2);
  }

  get parked(): boolean {
    return Atomics.load(this.#words, 1) === STATE.parked;
  }

  /** Whether the agent has yet to notice what it was told, or to end it. */
  get busy(): boolean {
    const state = Atomics.load(this.#words, 1);
    return state === STATE.resuming || state === STATE.busy;
  }

  /** Whether the vCPU stands at an access to a device. */
  get exitPending(): boolean {
    return this.control.result === 0n;
  }

  /** When the vCPU stood still last, in ns of CLOCK_MONOTONIC. Of a parked agent. */
  get parkedNs(): number {
    return Number(this.control.parked_sec) * 1e9 + Number(this.control.parked_nsec);
  }

  /**
   * Lays out system calls for `command("batch")`.
   *
   * @param seenAt The address at which the agent sees this memory.
   * @returns Their results, once they were made; see `encodeBatch`.
   */
  layOut(calls: readonly BatchCall[], seenAt = this.#address): BigInt64Array {
    const address = seenAt + BATCH;
    this.control.batch = BigInt(address);
    return encodeBatch(calls, { buffer: this.buffer, offset: BATCH, address });
  }

  /** Says what is wanted of an agent that is parked. Of `batch`, wait for `awaitParked` after it. */
  command(what: "run" | "batch"): void {
    Atomics.store(this.#words, 1, STATE_TOLD[what]);
    Atomics.store(this.#words, 0, COMMAND[what]);
    futexWake(this.#address);
  }

  /** For a list: has an agent park that is not `busy`; it is to be kicked after that. */
  get holdCall(): BatchCall {
    return storeAndWakeCall(this.#address, COMMAND.hold);
  }

  /** `command`, for a list of system calls. */
  commandCalls(what: "run" | "batch"): BatchCall[] {
    return [
      storeAndWakeCall(this.#address + 4, STATE_TOLD[what]),
      storeAndWakeCall(this.#address, COMMAND[what]),
    ];
  }

  /** For a list: waits a moment for an agent that runs its vCPU or makes a batch. `awaitParked` is to follow. */
  awaitCall(what: "running" | "busy"): BatchCall {
    return futexWaitCall(this.#address + 4, STATE[what], AT_ONCE_NS);
  }

  /**
   * Has the agent park, whatever it does; it is to be kicked after that.
   *
   * @returns False where it stands still already, be it that who steered it before has ended in the middle of a batch.
   */
  hold(): boolean {
    // overtaken by this, the command before would never be noticed, and the agent would wait on without being parked
    this.#awaitLeaving(STATE.resuming, LOOK_EVERY_NS);
    this.#awaitLeaving(STATE.busy);
    if (this.parked) return false;
    // one that is not parked does not sleep here
    Atomics.store(this.#words, 0, COMMAND.hold);
    return true;
  }

  /** @throws VmmError `accel` where the agent does not answer. */
  awaitParked(): void {
    for (const state of [STATE.resuming, STATE.running, STATE.busy]) this.#awaitLeaving(state);
  }

  #awaitLeaving(left: number, lookEveryNs = PATIENCE_NS): void {
    const deadline = monotonicNs() + PATIENCE_NS;
    while (Atomics.load(this.#words, 1) === left) {
      const rest = deadline - monotonicNs();
      if (rest <= 0) throw new VmmError("accel", "the agent that runs a vCPU does not answer");
      // with the state that was looked at: if the agent has parked since, nobody would wake us
      futexWait(this.#address + 4, left, Math.min(rest, lookEveryNs));
    }
  }
}
