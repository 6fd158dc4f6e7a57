import { expect, test } from "bun:test";
import { getUmask, umask } from "./umask.ts";

test("the umask is looked at without being changed, and set", () => {
  const before = getUmask();
  try {
    expect(umask(0o027)).toBe(before);
    expect([getUmask(), getUmask()]).toEqual([0o027, 0o027]);
  } finally {
    umask(before);
  }
  expect(getUmask()).toBe(before);
});
