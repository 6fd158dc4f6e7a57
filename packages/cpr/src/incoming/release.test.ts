import { expect, test } from "bun:test";
import { openFds, pipe } from "@vmm/libc";
import type { CprState } from "../cpr-state.ts";
import { FdTable } from "../fd-table.ts";
import { releaseUpdate } from "./release.ts";

test("an update leaves none of cpr's own fds, those of a newer version not either, and all others", async () => {
  const [ours, theirs] = pipe();
  const table = new FdTable();
  table.saveFd("ram0", 0, ours);
  table.saveFd("cpr:of-tomorrow", 3, theirs);
  await releaseUpdate({ children: {}, main: { type: "memfd" } } as unknown as CprState, table, undefined);
  expect(table.entries()).toEqual([{ name: "ram0", id: 0, fd: ours }]);
  expect([openFds().includes(ours), openFds().includes(theirs)]).toEqual([true, false]);
});
