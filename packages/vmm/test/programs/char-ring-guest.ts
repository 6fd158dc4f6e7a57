/** Plays the guest side of a char ring in a thread of its own: echoes what it reads, or prints a known sequence. */
import { StateArena } from "../../src/arena/state-arena.ts";
import { CharRing } from "../../src/chardev/char-ring.ts";
import { type GuestTask, printed } from "./char-ring-task.ts";

declare const self: Worker;

self.onmessage = ({ data: { arena, kind, count } }: MessageEvent<GuestTask>) => {
  let rings = 0;
  const ring = new CharRing(new StateArena(arena), "c", () => {
    rings++;
    self.postMessage("ring");
  });
  for (let i = 0; i < count; ) {
    if (!ring.canWrite()) continue;
    const byte = kind === "print" ? printed(i) : ring.read();
    if (byte < 0) continue;
    ring.write(byte);
    i++;
  }
  self.postMessage({ rings });
};
