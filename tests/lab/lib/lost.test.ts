import { afterAll, afterEach, expect, spyOn, test } from "bun:test";
import { LabError } from "./errors.ts";
import { againIfLost, GuestLost, MAX_RUNS } from "./lost.ts";

const told = spyOn(console, "error").mockImplementation(() => {});
afterEach(() => void told.mockClear());
afterAll(() => told.mockRestore());

/** A run that fails so often, and what has been made of it. */
async function runs(failures: Error[]) {
  let made = 0;
  const end = await againIfLost("it", async () => {
    const failure = failures[made++];
    if (failure) throw failure;
    return "well";
  }).catch((error: Error) => error.message);
  return { made, end, told: told.mock.calls.map(([line]) => line) };
}

const reset = new GuestLost("the guest was reset", "its console");
const died = new LabError("died", "the lab died: QEMU exited with status 0", "the lab's console");

test("a run that ends is made once", async () => {
  expect(await runs([])).toEqual({ made: 1, end: "well", told: [] });
});

test("a run that loses its guest or its lab is made again, and told of", async () => {
  expect(await runs([reset, died])).toEqual({
    made: 3,
    end: "well",
    told: [
      `it: the guest was reset, in run 1 of ${MAX_RUNS}:\nits console`,
      `it: the lab died: QEMU exited with status 0, in run 2 of ${MAX_RUNS}:\nthe lab's console`,
    ],
  });
});

test("what is lost each time fails, with what is known of it", async () => {
  const { made, end } = await runs(Array.from({ length: 10 }, () => reset));
  expect({ made, end }).toEqual({
    made: MAX_RUNS,
    end: `it: the guest was reset, in run ${MAX_RUNS} of ${MAX_RUNS}:\nits console`,
  });
});

test.each([
  ["an error", new Error("a bug")],
  ["a lab whose time was up", new LabError("timeout", "not ended within 9 s")],
])("a run that fails by %s is not made again", async (_, error) => {
  expect(await runs([error])).toEqual({ made: 1, end: error.message, told: [] });
});
