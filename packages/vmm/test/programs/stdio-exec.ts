/**
 * A process whose stdio is a chardev, with a guest that echoes. `x` from the terminal makes it replace itself, `q` ends
 * it. At its start it prints in what state it found its stdin.
 */
import { rmSync } from "node:fs";
import { execve, isNonblocking } from "@vmm/libc";
import { openChardev } from "../../src/chardev/index.ts";
import { ttySettings } from "../../src/chardev/tty.ts";
import { ICANON } from "../../src/chardev/uapi/tty.ts";
import { ChardevFixture } from "../chardev-fixture.ts";

const generation = Number(process.env.GENERATION ?? "0");
const settings = ttySettings(0);
const blocking = isNonblocking(0) ? "non-blocking" : "blocking";
const mode = settings && settings.c_lflag & ICANON ? "cooked" : "raw";

await using fixture = new ChardevFixture((ring, context) => {
  return openChardev({ id: ring.id, backend: "stdio" }, ring, context);
});
const chardev = fixture.start();
const { guest } = fixture;
guest.print(`[${generation} ${mode} ${blocking} ${process.pid}]`);

for (let echoed = 0; ; await Bun.sleep(1)) {
  const input = guest.received.slice(echoed);
  echoed += input.length;
  guest.print(input);
  if (input.includes("q")) break;
  if (input.includes("x")) {
    chardev.pauseForExec();
    rmSync(fixture.folder, { recursive: true });
    const env = { ...process.env, GENERATION: String(generation + 1) };
    execve(process.execPath, [process.execPath, import.meta.path], env);
  }
}
