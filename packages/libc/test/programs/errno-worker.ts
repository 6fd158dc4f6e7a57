/** Fails with ENOENT many times over, and tells how often errno said something else. */
import { E, errno } from "../../src/errno.ts";
import { libc } from "../../src/libc.ts";

declare const self: Worker;

let wrong = 0;
for (let i = 0; i < 50_000; i++) {
  if (libc.open("/nonexistent", 0, 0) !== -1 || errno() !== E.ENOENT) wrong++;
}
self.postMessage(wrong);
