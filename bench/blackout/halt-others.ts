/** Makes vCPUs idle, as most are in most guests: what one costs by itself can be told then on a host with few cores. */
import { open } from "node:fs/promises";
import { COUNT_STRIDE, HEARTBEAT } from "@vmm/vmm/boot/heartbeat/map.ts";
import type { Subject } from "./subject.ts";

const LIMIT_MS = 10_000;
/** A count that has not changed for so long has ended. */
const STILL_MS = 200;

/** Has the vCPUs but the first halt. Returns the subject, of which one vCPU counts. */
export async function haltOthers(subject: Subject): Promise<Subject> {
  await using ram = await open(subject.ram, "r+");
  const word = Buffer.alloc(4);
  const read = async (address: number) => (await ram.read(word, 0, 4, address)).buffer.readUInt32LE(0);
  const others = subject.cpus - 1;
  await until("all vCPUs to start", async () => (await read(HEARTBEAT.STARTED)) === others);
  word.writeUInt32LE(1);
  await ram.write(word, 0, 4, HEARTBEAT.HALT_OTHERS);
  const counts = async () => {
    const seen: number[] = [];
    for (let cpu = 1; cpu <= others; cpu++) seen.push(await read(HEARTBEAT.COUNT + COUNT_STRIDE * cpu));
    return seen.join();
  };
  await until("all vCPUs but the first to halt", async () => {
    const before = await counts();
    await Bun.sleep(STILL_MS);
    return before === (await counts());
  });
  return { ...subject, cpus: 1 };
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${LIMIT_MS / 1000} s for ${what}`);
    await Bun.sleep(1);
  }
}
