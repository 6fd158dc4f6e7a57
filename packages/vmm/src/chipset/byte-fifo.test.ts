import { expect, test } from "bun:test";
import fc from "fast-check";
import { ByteFifo, FIFO_DEPTH } from "./byte-fifo.ts";

test("a FIFO gives what a list would, and never more than it holds", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(255), fc.constantFrom("shift", "clear"))), (steps) => {
      const fifo = new ByteFifo(new Uint8Array(FIFO_DEPTH + 2), 0, 1, 2);
      let list: number[] = [];
      for (const step of steps) {
        if (step === "shift") expect(fifo.shift()).toBe(list.shift() ?? 0);
        else if (step === "clear") {
          fifo.clear();
          list = [];
        } else {
          fifo.push(step as number);
          if (list.length < FIFO_DEPTH) list.push(step as number);
        }
        expect(fifo.count).toBe(list.length);
      }
    }),
  );
});
