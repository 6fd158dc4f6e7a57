/** The vmm command as users run it, with a folder of its own for the VMs of one test. */
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The program, from its sources; the shebang's `bun` is the one that runs the tests. */
export const VMM = [process.execPath, join(import.meta.dir, "../../packages/cli/src/vmm.ts")];

/** Small, so that many VMs fit beside each other. */
export const HEARTBEAT = ["--guest", "heartbeat", "--memory", "32M"];

/** Whether VMs can run here at all; tests that need one are skipped where not. */
export const HAS_KVM = opens("/dev/kvm");

function opens(path: string): boolean {
  try {
    closeSync(openSync(path, "r+"));
    return true;
  } catch {
    return false;
  }
}

export interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
}

const COMMAND_TIMEOUT_MS = 60_000;

export class Bench {
  /** What XDG_RUNTIME_DIR is. */
  readonly runtime = mkdtempSync(join(tmpdir(), "vmm-host-"));
  readonly env: Record<string, string | undefined> = { ...process.env, XDG_RUNTIME_DIR: this.runtime };

  /** Runs a command to its end. */
  async run(words: readonly string[], input = ""): Promise<Result> {
    const child = Bun.spawn([...VMM, ...words], {
      env: this.env,
      cwd: this.runtime,
      stdin: Buffer.from(input),
      stdout: "pipe",
      stderr: "pipe",
      timeout: COMMAND_TIMEOUT_MS,
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    await child.exited;
    return { stdout, stderr, exitCode: child.exitCode };
  }

  vmm(...words: string[]): Promise<Result> {
    return this.run(words);
  }

  /** Runs a command that must work, and returns what it printed as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own answer
  async json(...words: string[]): Promise<any> {
    const { stdout, stderr, exitCode } = await this.vmm(...words, "--json");
    if (exitCode !== 0) throw new Error(`vmm ${words.join(" ")}: status ${exitCode}: ${stderr}${stdout}`);
    return JSON.parse(stdout);
  }

  /** Starts a heartbeat guest. */
  start(name: string, ...more: string[]): Promise<{ name: string; pid: number; folder: string }> {
    return this.json("start", "--name", name, ...HEARTBEAT, ...more);
  }

  /** The processes that have this bench's folder in their command line. */
  processes(): number[] {
    return readdirSync("/proc").flatMap((pid) => {
      if (!/^\d+$/.test(pid)) return [];
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(this.runtime) ? [Number(pid)] : [];
      } catch {
        return [];
      }
    });
  }

  /** Names of the VMs' folders. */
  folders(): string[] {
    try {
      return readdirSync(join(this.runtime, "vmm")).sort();
    } catch {
      return [];
    }
  }

  /** Ends what a test that failed has left, by pid. */
  close(): void {
    for (const pid of this.processes()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    rmSync(this.runtime, { recursive: true, force: true });
  }
}

/** Follows a VM's console from its first byte on. */
export class ConsoleWatch {
  readonly #client: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #copied: Promise<void>;
  /** All that the console has shown. */
  text = "";

  constructor(bench: Bench, name: string) {
    this.#client = Bun.spawn([...VMM, "console", name], {
      env: bench.env,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#copied = this.#copy();
  }

  async #copy(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#client.stdout) this.text += decoder.decode(bytes, { stream: true });
  }

  type(text: string): void {
    this.#client.stdin.write(text);
    this.#client.stdin.flush();
  }

  /** The numbers of the ticks, in order. */
  get ticks(): number[] {
    return [...this.text.matchAll(/^tick (\d+) count [0-9a-f]{8} secret/gm)].map(([, n]) => Number(n));
  }

  /** What the guest drew at its start, each value once. */
  get secrets(): string[] {
    return [
      ...new Set([...this.text.matchAll(/ secret ([0-9a-f]{8})/g)].map(([, secret]) => secret as string)),
    ];
  }

  /** Waits for more ticks than there are. */
  async more(count = 1): Promise<void> {
    const wanted = this.ticks.length + count;
    await until(`${count} more ticks`, () => this.ticks.length >= wanted);
  }

  /** Waits for the end of the command. */
  async ended(): Promise<{ exitCode: number | null; stderr: string }> {
    await Promise.all([this.#client.exited, this.#copied]);
    return { exitCode: this.#client.exitCode, stderr: await this.#client.stderr.text() };
  }

  async close(): Promise<void> {
    this.#client.kill();
    await this.ended();
  }
}

/** Waits for a condition. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 10_000,
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await Bun.sleep(5);
  }
}
