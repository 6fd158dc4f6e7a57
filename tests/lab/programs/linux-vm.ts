/** Runs in the lab: a Linux guest under vmm, by the real commands, with all that it prints. */
import { readFileSync } from "node:fs";
import { pathsOf } from "@vmm/vmm/config/index.ts";
import { parseSize } from "@vmm/vmm/config/size.ts";
import { isAlive } from "../../host/lib/proc.ts";
import { hasLabPageTables } from "../lib/lab-page-tables.ts";
import { GUEST_LOST_STATUS } from "../lib/lost.ts";
import { parseGuestFacts, parseTicks, wasReset } from "../lib/ticks.ts";

const VMM = ["bun", "packages/cli/src/vmm.ts"];
const NAME = "linux";
/** Everything in the lab takes 20 to 50 times as long as on the machine itself (ms). */
const PATIENCE_MS = 240_000;
/** How long nothing may come before the guest is looked at: longer than it takes to boot (ms). */
const LOOK_MS = 45_000;

export interface LinuxVmOptions {
  readonly kernel: string;
  readonly initrd: string;
  readonly cpus: string;
  readonly memory: string;
}

/** What one update told. */
export interface LabUpdate {
  readonly status: number;
  readonly blackoutMs: number;
  readonly pidBefore: number;
  readonly pidAfter: number;
  readonly stderr: string;
}

/** How a guest has lived and ended. */
export interface LabRun {
  readonly console: string;
  readonly updates: readonly LabUpdate[];
  readonly pid: number;
  /** Whether the VM process ended by itself after `poweroff`, and left nothing. */
  readonly endedCleanly: boolean;
  /** Host seconds since 1970 when the last tick was seen. */
  readonly hostDate: number;
}

const REGISTERS = ["qmp", NAME, "human-monitor-command", '{"command-line":"info registers -a"}'];

/** Says on stderr how far this program is: what a test prints of a lab that came to a standstill. */
const say = (what: string): void => console.error(`${(performance.now() / 1000).toFixed(1)} s: ${what}`);

async function vmm(...words: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  say(`vmm ${words.join(" ")}`);
  const child = Bun.spawn([...VMM, ...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: PATIENCE_MS,
  });
  const [stdout, stderr, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

/** Ends this program: the guest was lost, in a way that the emulation is known for. */
function endLost(details: string): never {
  console.error(details);
  process.exit(GUEST_LOST_STATUS);
}

export class LinuxVm {
  readonly updates: LabUpdate[] = [];
  #closed = false;
  readonly #memoryBytes: number;
  #console: { write(text: string): unknown } | undefined;
  /** The process that started with the VM. */
  pid = 0;
  text = "";

  private constructor(memory: string) {
    this.#memoryBytes = parseSize(memory, "the guest's memory");
  }

  /** Starts it and waits for its shell. */
  static async start({ kernel, initrd, cpus, memory }: LinuxVmOptions): Promise<LinuxVm> {
    const vm = new LinuxVm(memory);
    const started = await vmm(
      ...["start", "--json", "--name", NAME, "--kernel", kernel, "--initrd", initrd],
      ...["--cmdline", "console=ttyS0 quiet panic=-1", "--cpus", cpus, "--memory", memory],
    );
    if (started.status !== 0) throw new Error(`vmm start: ${started.stderr}`);
    vm.pid = JSON.parse(started.stdout).pid;
    await vm.#connect();
    await vm.#until(
      "the guest's shell",
      () => parseGuestFacts(vm.text) !== undefined && vm.text.includes("guest shell"),
    );
    return vm;
  }

  async #connect(): Promise<void> {
    const decoder = new TextDecoder();
    this.#console = await Bun.connect({
      unix: pathsOf(NAME).console,
      socket: {
        data: (_socket, bytes) => {
          this.text += decoder.decode(bytes, { stream: true });
        },
        close: () => {
          this.#closed = true;
        },
      },
    });
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    say(`wait for ${what}`);
    const begin = performance.now();
    let look = begin + LOOK_MS;
    while (!holds()) {
      const now = performance.now();
      if (now > look) {
        await this.#endIfLost(what);
        look = performance.now() + LOOK_MS;
      }
      if (now > begin + PATIENCE_MS) throw new Error(`${what} did not come; ${await this.#state()}`);
      await Bun.sleep(50);
    }
  }

  /** Ends this program, with the lab and all in it, where the guest cannot go on as it was. */
  async #endIfLost(what: string): Promise<void> {
    const { stdout } = await vmm(...REGISTERS);
    const stray = hasLabPageTables(stdout, this.#memoryBytes, readFileSync("/proc/iomem", "utf8"));
    const why = stray ? "it has the lab's page tables" : "it was reset";
    if (stray || wasReset(this.text)) endLost(`${why}: ${what} did not come; ${await this.#state()}`);
  }

  /** All that there is to know of a guest that does not go on. */
  async #state(): Promise<string> {
    const look = async (...words: string[]) => {
      const { status, stdout, stderr } = await vmm(...words);
      return status === 0 ? stdout : stderr;
    };
    const parts = [await look("status", NAME), await look(...REGISTERS), await look(...REGISTERS)];
    return [this.#history(), ...parts].join("\n");
  }

  #history(): string {
    const { text, updates } = this;
    const says = `after ${updates.length} updates the console says:\n${text.slice(-4000)}`;
    return [says, ...updates.map((update) => JSON.stringify(update))].join("\n");
  }

  /** Waits until the guest has ticked so many times more. */
  async ticks(more: number): Promise<void> {
    const count = () => parseTicks(this.text).length;
    const before = count();
    await this.#until("the next ticks", () => count() >= before + more);
  }

  /** Sets migration parameters: each VMM process has its own. */
  async set(...parameters: string[]): Promise<void> {
    const { status, stderr } = await vmm("qmp", NAME, "migrate-set-parameters", ...parameters);
    if (status !== 0) throw new Error(stderr);
  }

  /** @param words Further arguments of `vmm migrate`. */
  async update(...words: string[]): Promise<LabUpdate> {
    const { status, stdout, stderr } = await vmm("migrate", "--cpr-exec", "--json", NAME, ...words);
    const report = stdout === "" ? {} : JSON.parse(stdout);
    const update = {
      status,
      blackoutMs: report.blackout_ms ?? -1,
      pidBefore: report.pid_before ?? -1,
      pidAfter: report.pid_after ?? -1,
      stderr,
    };
    this.updates.push(update);
    return update;
  }

  /** Has the guest power off, and tells how it all went. */
  async powerOff(): Promise<LabRun> {
    const hostDate = Date.now() / 1000;
    const { pid, updates } = this;
    const last = updates.findLast(({ pidAfter }) => pidAfter > 0)?.pidAfter ?? pid;
    this.#console?.write("poweroff\n");
    await this.#until("the end of the VM", () => this.#closed && !isAlive(last));
    if (wasReset(this.text)) endLost(`it was reset, and ended as it should: ${this.#history()}`);
    const left = await vmm("ls", "--json");
    const endedCleanly = JSON.parse(left.stdout).length === 0;
    return { console: this.text, updates, pid, endedCleanly, hostDate };
  }
}
