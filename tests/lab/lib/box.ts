import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BOX_FD } from "./machine.ts";

/** The NVMe device's medium: sparse, as nothing reads more than it wrote. */
const SCRATCH_BYTES = 64 * 1024 * 1024;

/** How much of the end of the console is kept, in bytes. */
const CONSOLE_BYTES = 32 * 1024;

/** QEMU, running: its channels, and its console's last words. */
export interface Box {
  readonly stdout: AsyncIterable<Uint8Array>;
  readonly stderr: AsyncIterable<Uint8Array>;
  /** Something each time the box shows that it lives. */
  readonly pulse: AsyncIterable<unknown>;
  /** Gives the box its job, on the channel of stdout. */
  send(job: Uint8Array): void;
  /** Settled when QEMU has ended; says how in words. */
  readonly ended: Promise<string>;
  /** The end of what the console and QEMU itself printed. */
  console(): string;
  /** Ends QEMU, without waiting for it. */
  kill(): void;
  /** Ends QEMU if it still runs, waits for that, and gives back everything. */
  destroy(): Promise<void>;
}

/** A file without a name: it is gone when the last process that has it open is. */
function openScratch(): number {
  const folder = mkdtempSync(join(tmpdir(), "vmm-lab-"));
  try {
    const fd = openSync(join(folder, "nvme.img"), "wx+", 0o600);
    ftruncateSync(fd, SCRATCH_BYTES);
    return fd;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs a command only where this process is still there: who has died before the kernel was asked is not heard of. */
const unlessOrphan = (argv: readonly string[]): string[] => [
  ...["sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', String(process.pid)],
  ...argv,
];

/** The kernel ends QEMU when we die, be it by SIGKILL. setpriv is util-linux, which Debian always has. */
function diesWithUs(argv: string[]): string[] {
  const setpriv = Bun.which("setpriv");
  return setpriv ? [setpriv, "--pdeathsig", "KILL", ...unlessOrphan(argv)] : argv;
}

/** Keeps the end of what a stream says. */
function lastWords(...sources: AsyncIterable<Uint8Array>[]): () => string {
  let words = "";
  for (const source of sources) {
    void (async () => {
      for await (const chunk of source) {
        words = (words + Buffer.from(chunk).toString("latin1")).slice(-CONSOLE_BYTES);
      }
    })().catch(() => undefined);
  }
  return () => words.replaceAll("\r", "");
}

/** What arrives until QEMU closes the channel or ends with something unread, which resets it. */
async function* untilClosed(socket: Socket): AsyncGenerator<Uint8Array> {
  try {
    yield* socket;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
  }
}

/** Starts QEMU with the channels of {@link BOX_FD}. */
export function startBox(argv: string[]): Box {
  const scratch = openScratch();
  try {
    const child = Bun.spawn(diesWithUs(argv), {
      stdio: ["ignore", "pipe", "pipe", "socket-fd", "socket-fd", scratch, "socket-fd"],
    });
    // node:net takes a connected descriptor; its types only know of addresses.
    const channel = (fd: number) => connect({ fd: child.stdio[fd] } as unknown as NetConnectOpts);
    const stdout = channel(BOX_FD.stdout);
    const stderr = channel(BOX_FD.stderr);
    const pulse = channel(BOX_FD.pulse);
    for (const socket of [stdout, stderr, pulse]) socket.on("error", () => undefined);
    const ended = child.exited.then(() =>
      child.signalCode ? `was ended by ${child.signalCode}` : `exited with status ${child.exitCode}`,
    );
    return {
      stdout: untilClosed(stdout),
      stderr: untilClosed(stderr),
      pulse: untilClosed(pulse),
      send: (job) => void stdout.write(job),
      ended,
      console: lastWords(child.stdout, child.stderr),
      kill: () => child.kill("SIGKILL"),
      async destroy() {
        child.kill("SIGKILL");
        await ended;
        for (const socket of [stdout, stderr, pulse]) socket.destroy();
      },
    };
  } finally {
    closeSync(scratch);
  }
}
