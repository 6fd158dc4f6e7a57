/** The floor: floor.c, compiled here. Its guest counts where the heartbeat guest does. */
import { join } from "node:path";
import { parseSize } from "@vmm/vmm/config/size.ts";
import { findFd } from "../lib/proc.ts";
import { killAtExit, Workspace } from "../lib/vmm.ts";
import type { PhaseTime, Subject, SubjectKind, SubjectOptions } from "./subject.ts";

const SOURCE = join(import.meta.dir, "floor.c");
const FLAGS = ["-O2", "-static", "-pthread", "-w"];

function compile(workspace: Workspace): string {
  const program = workspace.path("floor");
  const { success, stderr } = Bun.spawnSync(["gcc", ...FLAGS, "-o", program, SOURCE]);
  if (!success) throw new Error(`gcc does not compile floor.c: ${stderr.toString().trim().split("\n")[0]}`);
  return program;
}

async function startFloor({ memory, cpus, touch }: SubjectOptions): Promise<Subject> {
  const workspace = new Workspace();
  try {
    const mib = Math.floor(parseSize(memory, "--memory") / 2 ** 20);
    const child = Bun.spawn([compile(workspace), `${mib}`, `${cpus}`, touch ? "1" : "0"], {
      stdin: "pipe",
      stderr: "inherit",
    });
    const kill = killAtExit(child);
    const up = linesOf(child.stdout);
    await up();
    const ram = findFd(child.pid, "/memfd:floor-ram");
    if (!ram) throw new Error("the floor's RAM was not found among its fds");
    return {
      name: "floor",
      ram,
      cpus,
      async update() {
        child.stdin.write("\n");
        child.stdin.flush();
        return { phases: phasesOf(await up()) };
      },
      async close() {
        child.stdin.end();
        await child.exited;
        kill();
        workspace[Symbol.dispose]();
      },
    };
  } catch (error) {
    workspace[Symbol.dispose]();
    throw error;
  }
}

/** Waits for the next line, which is written in one piece. */
function linesOf(output: ReadableStream<Uint8Array>): () => Promise<string> {
  const reader = output.getReader();
  return async () => {
    const { done, value } = await reader.read();
    if (done) throw new Error("the floor ended");
    return new TextDecoder().decode(value);
  };
}

const phasesOf = (line: string): PhaseTime[] =>
  [...line.matchAll(/(\S+)=(\d+)/g)].map(([, name = "", ns]) => ({ name, ms: Number(ns) / 1e6 }));

export const floorKind: SubjectKind = {
  name: "floor (C)",
  unavailable: () => (Bun.which("gcc") ? undefined : "the floor needs gcc, which is not here"),
  start: startFloor,
};
