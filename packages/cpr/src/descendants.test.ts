import { expect, test } from "bun:test";
import { close, killIfThere, pidfdOpen, SIGKILL } from "@vmm/libc";
import { endAll, pidOf, stopFamily } from "./descendants.ts";

/** `sh` with a child of its own that has one too, and another child. */
const SCRIPT = "sh -c 'sleep 600 & echo $!; wait' & echo $!; sleep 600 & echo $!; wait";

async function numbers(stream: ReadableStream<Uint8Array>, count: number): Promise<number[]> {
  const reader = stream.getReader();
  let text = "";
  while (text.split("\n").length <= count) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return text.trim().split("\n").map(Number);
}

async function until(condition: () => boolean): Promise<boolean> {
  for (const end = performance.now() + 10_000; performance.now() < end; await Bun.sleep(1))
    if (condition()) return true;
  return false;
}

test("a process is ended with all that it has started, but for those that are spared", async () => {
  const root = Bun.spawn(["sh", "-c", SCRIPT], { stdio: ["ignore", "pipe", "ignore"] });
  const all = await numbers(root.stdout, 3);
  try {
    expect(all.every((pid) => killIfThere(pid, 0))).toBe(true);
    const [spared, ...rest] = all.toSorted((a, b) => a - b) as [number, number, number];
    // whether the spared one has a child or not: its family is left alone
    const family = stopFamily(root.pid, new Set([spared]));
    expect(family).not.toContain(spared);
    expect(rest).toEqual(expect.arrayContaining(family));
    expect(family.length).toBeGreaterThan(0);
    root.kill(9);
    endAll(family);
    expect(await until(() => family.every((pid) => !killIfThere(pid, 0)))).toBe(true);
    expect(killIfThere(spared, 0)).toBe(true);
  } finally {
    root.kill(9);
    for (const pid of all) killIfThere(pid, SIGKILL);
    await root.exited;
  }
});

test("a process is known by its pidfd, and by none once it is gone", async () => {
  const child = Bun.spawn(["sleep", "600"]);
  const pidfd = pidfdOpen(child.pid);
  try {
    expect(pidOf(pidfd)).toBe(child.pid);
    child.kill(9);
    await child.exited;
    expect(pidOf(pidfd)).toBeUndefined();
  } finally {
    child.kill(9);
    close(pidfd);
  }
});
