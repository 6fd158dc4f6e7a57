import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { write } from "@vmm/libc";
import { StderrTail } from "./stderr-tail.ts";

const openFds = () => readdirSync("/proc/self/fd").length;

/** What a shell's command said. */
async function said(command: string): Promise<string> {
  const tail = new StderrTail();
  const child = Bun.spawn(["sh", "-c", command], { stdio: ["ignore", "ignore", tail.fd] });
  tail.handedOver();
  await child.exited;
  return tail.end();
}

test("what was said is given without the blanks around it, and nothing stays open", async () => {
  const before = openFds();
  expect(await said("echo one >&2; echo two >&2")).toBe("one\ntwo");
  expect(await said("true")).toBe("");
  expect(openFds()).toBe(before);
});

test("more than a pipe holds is taken, and the end of it is kept", async () => {
  // 300 KiB: whoever finds a pipe full waits
  const text = await said("i=0; while [ $i -lt 30000 ]; do echo line$i >&2; i=$((i+1)); done");
  expect(text).toEndWith("line29998\nline29999");
  expect(text.length).toBeLessThanOrEqual(2000);
  expect(text.length).toBeGreaterThan(1900);
});

test("a character whose bytes come one by one is whole", async () => {
  const tail = new StderrTail();
  for (const byte of Buffer.from("ü€")) {
    write(tail.fd, Uint8Array.of(byte));
    await Bun.sleep(12);
  }
  expect(tail.end()).toBe("ü€");
  expect(tail.end()).toBe("ü€");
});

test("somebody who keeps the pipe does not keep us", async () => {
  const before = openFds();
  const tail = new StderrTail();
  const child = Bun.spawn(["sleep", "100"], { stdio: ["ignore", "ignore", tail.fd] });
  tail.handedOver();
  expect(tail.end()).toBe("");
  // the runtime has one of the process
  expect(openFds()).toBeLessThanOrEqual(before + 1);
  child.kill("SIGKILL");
  await child.exited;
});
