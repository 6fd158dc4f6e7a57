import { expect, test } from "bun:test";
import { ChardevFixture, until } from "../../../test/chardev-fixture.ts";
import { TX_SIZE } from "../char-ring.ts";
import { openChardev } from "../open-chardev.ts";

test("a null chardev takes all output and never lets the port be busy for long", async () => {
  await using f = new ChardevFixture((ring, context) => {
    return openChardev({ id: ring.id, backend: "null" }, ring, context);
  });
  f.start();
  await f.guest.printAll(new Uint8Array(3 * TX_SIZE));
  await until(() => f.guest.ring.undrained === 0, "the output to be taken");
  expect(f.guest.received).toBe("");
  expect(f.chardev.info()).toEqual({ label: "serial0", filename: "null", "frontend-open": true });
  expect(f.fds.size).toBe(0);
});
