/** A VM of the test's own: started by the real command, looked at from outside, and gone at the end whatever happens. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vmPaths } from "@vmm/vmm/config/runtime-folder.ts";
import { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { HAS_KVM, until, VMM } from "../cli-harness.ts";
import { GuestRam, type Heartbeat } from "./guest-ram.ts";
import { commandLineOf, processesWith, statusValue } from "./proc.ts";

export { HAS_KVM, until, VMM };

export interface TestVmOptions {
  /** As `--memory` takes it. */
  readonly memory?: string;
  readonly cpus?: number;
  /** Further arguments of `vmm start`. */
  readonly args?: readonly string[];
  /** Further variables of the command. */
  readonly env?: Readonly<Record<string, string>>;
  /** Files by their names in the VM's folder, there before it starts. */
  readonly files?: Readonly<Record<string, string>>;
}

const NAME = "vm";
const RUNTIME = "XDG_RUNTIME_DIR";
const END_MS = 5000;

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
}

/** In what a guest is behind what it was. */
function setbacks(before: Heartbeat, after: Heartbeat): string[] {
  const steps = ({ counts, ticks, interrupts }: Heartbeat) => ({
    ticks,
    interrupts,
    ...Object.fromEntries(counts.map((count, cpu) => [`count of vCPU ${cpu}`, count])),
  });
  const now: Record<string, number> = steps(after);
  return Object.entries(steps(before)).flatMap(([what, was]) =>
    (now[what] ?? 0) < was ? [`${what} ${was} became ${now[what]}`] : [],
  );
}

export class TestVm implements AsyncDisposable {
  readonly name = NAME;
  /** XDG_RUNTIME_DIR of this VM alone. Short: socket paths have a limit. */
  readonly runtime = mkdtempSync(join(tmpdir(), "vmt-"));
  readonly paths = vmPaths(`${this.runtime}/vmm/${NAME}`);
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cpus: number;
  #ram: GuestRam | undefined;

  protected constructor({ cpus = 1, env = {} }: TestVmOptions) {
    this.cpus = cpus;
    this.env = { ...process.env, ...env, [RUNTIME]: this.runtime };
  }

  /** Starts a heartbeat guest, and returns when it runs. */
  static async start(options: TestVmOptions = {}): Promise<TestVm> {
    const vm = new TestVm(options);
    try {
      const { memory = "32M", cpus = 1, args = [], files = {} } = options;
      for (const [name, text] of Object.entries(files)) vm.write(name, text);
      const size = ["--memory", memory, "--cpus", String(cpus)];
      await vm.vmm("start", "--name", NAME, "--guest", "heartbeat", ...size, ...args);
      await vm.attachRam();
      return vm;
    } catch (error) {
      await vm[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Writes a file in the VM's folder, which is the VMM's working directory. */
  write(name: string, text: string): void {
    mkdirSync(this.paths.folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(this.paths.folder, name), text);
  }

  /** Opens the guest's RAM, once the VM runs. */
  async attachRam(): Promise<void> {
    this.#ram ??= new GuestRam(await this.pid(), this.cpus);
  }

  get ram(): GuestRam {
    if (!this.#ram) throw new Error("the guest's RAM is not open");
    return this.#ram;
  }

  heartbeat(): Heartbeat {
    return this.ram.read();
  }

  /** Runs a vmm command to its end, as it ends. */
  async run(...words: string[]): Promise<CommandResult> {
    const child = Bun.spawn([...VMM, ...words], {
      env: this.env,
      cwd: this.runtime,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    await child.exited;
    return { stdout, stderr, exitCode: child.exitCode };
  }

  /** Runs a vmm command that must work, and returns what it printed. */
  async vmm(...words: string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await this.run(...words);
    if (exitCode !== 0) throw new Error(`vmm ${words.join(" ")}: status ${exitCode}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Connects to QMP. To be closed by the caller. */
  qmp(timeoutMs = 10_000): Promise<QmpClient> {
    return QmpClient.connect(this.paths.qmp, { timeoutMs });
  }

  /** Connects for one command. */
  async execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    const qmp = await this.qmp();
    try {
      return await qmp.execute(command, args);
    } finally {
      qmp.close();
    }
  }

  /** The process that runs the guest now: the one that has the vCPUs' threads. */
  async pid(): Promise<number> {
    const [cpu] = (await this.execute("query-cpus-fast")) as { "thread-id": number }[];
    return statusValue(cpu?.["thread-id"] ?? 0, "Tgid");
  }

  /** The command line of the process that runs the guest. */
  async command(): Promise<string[]> {
    return commandLineOf(await this.pid());
  }

  /** All processes that have to do with this VM. */
  processes(): number[] {
    return processesWith(RUNTIME, this.runtime);
  }

  /** All files below the VM's XDG_RUNTIME_DIR, by their paths in it. */
  files(): string[] {
    return readdirSync(this.runtime, { recursive: true, encoding: "utf8" }).sort();
  }

  /**
   * Waits until each vCPU has counted on, and the guest has found nothing wrong.
   *
   * @param since What the guest was at an earlier time, before an update: none of what it has done since may be lost.
   */
  async isWell(secret: number, ms = 5000, since?: Heartbeat): Promise<void> {
    const before = this.heartbeat();
    const lost = since ? setbacks(since, before) : [];
    if (lost.length > 0) throw new Error(`the guest has gone back: ${lost.join(", ")}`);
    const moved = () => this.heartbeat().counts.every((count, cpu) => count !== before.counts[cpu]);
    await until("every vCPU counts", moved, ms);
    const now = this.heartbeat();
    if (now.fault !== "none") throw new Error(`the guest found a fault: ${now.fault}`);
    if (now.secret !== secret) throw new Error(`the secret was ${secret} and is ${now.secret}`);
  }

  /** Ends every process of this VM, and removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ram?.close();
    this.#ram = undefined;
    await until("all processes of the VM are gone", () => this.kill() === 0, END_MS);
    rmSync(this.runtime, { recursive: true, force: true });
  }

  /** Kills every process of this VM. Returns how many are left; where it is the last that is done, some may be dying. */
  kill(): number {
    for (const pid of this.processes()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // it has ended meanwhile
      }
    }
    return this.processes().length;
  }

  /** What is left to do for one whose process ends at once: without waiting. */
  abandon(): void {
    for (let tries = 0; tries < 100 && this.kill() > 0; tries++) Bun.sleepSync(1);
    rmSync(this.runtime, { recursive: true, force: true });
  }
}
