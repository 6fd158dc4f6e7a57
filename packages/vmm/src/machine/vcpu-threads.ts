/** The vCPU threads as the main thread sees them: started with the first run, then paused and resumed together. */
import type { AccelVm, ExitTargets, VcpuBridge } from "../accel/accelerator.ts";
import type { VmConfig } from "../config/vm-config.ts";
import type { VcpuThreadStart } from "../vcpu-worker.ts";
import { VmmError } from "../vmm-error.ts";
import { workerUrl } from "../worker-url.ts";
import type { ControlBlock } from "./control-block.ts";
import { Kick, type KickCalls } from "./kick.ts";
import { VCPU_STATE } from "./vcpu-control.ts";

/** A vCPU that does not react to a kick within this time is stuck in the kernel (ms). */
const PAUSE_TIMEOUT_MS = 10_000;
/** Time for a Worker to come up (ms). */
const START_TIMEOUT_MS = 30_000;
/** A thread that waits begins to run its vCPU within this time, or has paused it again meanwhile (ms). */
const RUN_TIMEOUT_MS = 5;

export interface VcpuThreadsOptions {
  readonly vm: AccelVm;
  readonly config: VmConfig;
  readonly control: ControlBlock;
  readonly arena: SharedArrayBuffer;
  readonly digest: number;
  /** Called when a thread dies of an error of its own. */
  readonly failed: (vcpu: number, error: Error) => void;
}

export class VcpuThreads {
  #options: VcpuThreadsOptions;
  #workers: Worker[] = [];
  #bridge: VcpuBridge | undefined;

  constructor(options: VcpuThreadsOptions) {
    this.#options = options;
  }

  /** Whether the threads were started. */
  get spawned(): boolean {
    return this.#workers.length > 0;
  }

  /** Whether the main thread may spin for a moment: where neither a vCPU nor the rest of the host needs its processor. */
  get #spins(): boolean {
    return this.#options.vm.vcpus.length + 1 < navigator.hardwareConcurrency;
  }

  /**
   * Starts the threads; each builds its devices and then waits, paused.
   *
   * @param idle Whether nobody runs the vCPUs meanwhile.
   */
  #spawn(idle: boolean): void {
    const options = this.#options;
    this.#workers = options.vm.vcpus.map((vcpu) => {
      const worker = new Worker(workerUrl("vcpu-worker"));
      worker.addEventListener("error", (event) => {
        options.failed(vcpu.index, event.error instanceof Error ? event.error : new Error(event.message));
      });
      const start: VcpuThreadStart = {
        config: options.config,
        handle: vcpu.handle,
        arena: options.arena,
        digest: options.digest,
        control: options.control.buffer,
        vm: options.vm.fd,
        idle,
      };
      worker.postMessage(start);
      return worker;
    });
  }

  /** Starts the threads ahead of the first run. Resolves when all are up and wait. */
  async prepare(): Promise<void> {
    this.#spawn(true);
    const deadline = performance.now() + START_TIMEOUT_MS;
    for (const { index } of this.#options.vm.vcpus) {
      while (this.#options.control.vcpu(index).state === VCPU_STATE.starting) {
        if (performance.now() > deadline)
          throw new VmmError("accel", `the thread of vCPU ${index} does not come up`);
        await Bun.sleep(1);
      }
    }
  }

  /** Has the threads stay awake for a `resume` that comes soon, where the host has a processor for each. */
  stayAwake(): void {
    const { vm, control } = this.#options;
    if (vm.vcpus.length >= navigator.hardwareConcurrency) return;
    for (const { index } of vm.vcpus) control.vcpu(index).want("stayAwake");
  }

  /** Waits until all vCPUs have begun to run after `resume`, or longer than that ever takes. */
  awaitRunning(): void {
    for (const { index } of this.#options.vm.vcpus)
      this.#options.control.vcpu(index).awaitLeaving(["paused"], RUN_TIMEOUT_MS, this.#spins);
  }

  /** Lets all vCPUs run, on their threads. One that is still coming up runs its vCPU when it is ready. */
  resume(): void {
    for (const { index } of this.#options.vm.vcpus) this.#options.control.vcpu(index).want("run");
  }

  get hasBridge(): boolean {
    return this.#bridge !== undefined;
  }

  /**
   * Prepares `resumeBridged`; done once, a second call changes nothing.
   *
   * @param targets Serve the exits meanwhile.
   * @returns What is to run the vCPUs.
   */
  prepareBridge(targets: ExitTargets): VcpuBridge {
    this.#bridge ??= this.#options.vm.bridge(targets);
    return this.#bridge;
  }

  /**
   * Lets all vCPUs run at once by the accelerator's bridge, starts the threads meanwhile, and returns when they have
   * taken over.
   *
   * @param mayRun False once the guest asked for something that stops the machine.
   * @param running Called when the last vCPU runs.
   */
  resumeBridged(mayRun: () => boolean, running: () => void): void {
    const { control } = this.#options;
    const bridge = this.#bridge;
    if (!bridge) throw new Error("the bridge was not prepared");
    this.#bridge = undefined;
    if (mayRun()) bridge.start();
    running();
    this.#spawn(false);
    const deadline = performance.now() + START_TIMEOUT_MS;
    const isUp = (index: number) => {
      if (performance.now() > deadline) {
        throw new VmmError("accel", `the thread of vCPU ${index} does not come up`);
      }
      return control.vcpu(index).state === VCPU_STATE.paused;
    };
    bridge.serve(mayRun, isUp, (index) => control.vcpu(index).want("run"));
  }

  /**
   * Pauses all vCPUs and returns when all are. No exit is half done then.
   *
   * @param kick What was prepared for it.
   * @throws VmmError `accel` where a vCPU does not come out of the kernel; the others stay paused.
   */
  pause(kick?: Kick): void {
    if (!kick?.make()) this.#kickAll();
    for (const { index } of this.#options.vm.vcpus) this.#awaitPaused(index);
  }

  /**
   * Prepares to tell all threads to pause, all at once.
   *
   * @param calls Those that are to be made with it.
   */
  prepareKick(calls: KickCalls): Kick {
    const { vm, control } = this.#options;
    const threads = vm.vcpus.map((vcpu) => ({ vcpu, control: control.vcpu(vcpu.index) }));
    return new Kick(threads, calls, !this.#spins);
  }

  #awaitPaused(index: number): void {
    const thread = this.#options.control.vcpu(index);
    if (!thread.awaitLeaving(["running"], PAUSE_TIMEOUT_MS, this.#spins)) {
      throw new VmmError(
        "accel",
        `vCPU ${index} does not leave guest mode within ${PAUSE_TIMEOUT_MS / 1000} s`,
      );
    }
  }

  /**
   * Ends the threads. They are told to only when no more kicks will come: Bun's event loop, to which an ended thread
   * returns, waits with no signal blocked, and a kick would kill the process there.
   */
  quit(): void {
    const { vm, control } = this.#options;
    this.#kickAll();
    for (const { index } of vm.vcpus) control.vcpu(index).awaitLeaving(["running"], PAUSE_TIMEOUT_MS);
    for (const { index } of vm.vcpus) control.vcpu(index).want("quit");
    for (const { index } of vm.vcpus)
      control.vcpu(index).awaitLeaving(["running", "paused"], PAUSE_TIMEOUT_MS);
    for (const worker of this.#workers) worker.terminate();
  }

  #kickAll(): void {
    const { vm, control } = this.#options;
    for (const { index } of vm.vcpus) control.vcpu(index).want("pause");
    for (const vcpu of vm.vcpus) {
      const thread = control.vcpu(vcpu.index);
      // a thread that is still coming up sees the word before it runs
      if (thread.tid !== 0) vcpu.interrupt(thread.tid);
    }
  }
}
