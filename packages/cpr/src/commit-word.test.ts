import { describe, expect, test } from "bun:test";
import { close, dup, fstat, ftruncate } from "@vmm/libc";
import { CommitWord } from "./commit-word.ts";

const RACER = new URL("../test/commit-racer.ts", import.meta.url).pathname;

describe("the commit word", () => {
  test("is won once, by either side", () => {
    for (const [first, second] of [
      ["taken-by-new", "taken-back"],
      ["taken-back", "taken-by-new"],
    ] as const) {
      const word = CommitWord.create();
      try {
        expect(word.owner).toBe("stopped");
        expect(word.take(first)).toBe(true);
        expect(word.take(second)).toBe(false);
        expect(word.take(first)).toBe(false);
        expect(word.owner).toBe(first);
      } finally {
        word.close();
      }
    }
  });

  test("is the same word through another fd of its page", () => {
    const word = CommitWord.create();
    const other = CommitWord.open(dup(word.fd));
    expect(other.take("taken-by-new")).toBe(true);
    expect(word.owner).toBe("taken-by-new");
    other.close();
    expect(word.take("taken-back")).toBe(false);
    word.close();
    word.close();
  });

  test("closes its fd, once", () => {
    const word = CommitWord.create();
    word.close();
    expect(() => fstat(word.fd)).toThrow("EBADF");
    expect(() => word.owner).toThrow("closed");
  });

  test("raced for by two processes many times has exactly one winner each time", async () => {
    const words = Array.from({ length: 200 }, () => CommitWord.create());
    const gate = CommitWord.create();
    const fds = [gate.fd, ...words.map(({ fd }) => fd)];
    try {
      const racers = (["taken-by-new", "taken-back"] as const).map((side) =>
        Bun.spawn([process.execPath, RACER, side, String(words.length)], {
          stdio: ["ignore", "pipe", "inherit", ...fds] as never,
        }),
      );
      const readers = racers.map(({ stdout }) =>
        (stdout as unknown as ReadableStream<Uint8Array>).getReader(),
      );
      const ready = await Promise.all(readers.map((reader) => reader.read()));
      expect(ready.map(({ value }) => new TextDecoder().decode(value))).toEqual(["ready\n", "ready\n"]);
      gate.take("taken-by-new");
      const wins = await Promise.all(
        readers.map(async (reader) => {
          let text = "";
          for (let part = await reader.read(); !part.done; part = await reader.read()) {
            text += new TextDecoder().decode(part.value);
          }
          return text.trim().split("");
        }),
      );
      const [byNew, back] = wins as [string[], string[]];
      expect(byNew).toHaveLength(words.length);
      for (let i = 0; i < words.length; i++) {
        expect([i, Number(byNew[i]) + Number(back[i])]).toEqual([i, 1]);
        expect(words[i]?.owner).toBe(byNew[i] === "1" ? "taken-by-new" : "taken-back");
      }
      await Promise.all(racers.map(({ exited }) => exited));
    } finally {
      for (const word of [gate, ...words]) word.close();
    }
  });
});

test("a page that somebody tries to cut off stays whole", () => {
  const word = CommitWord.create();
  const copy = dup(word.fd);
  try {
    expect(fstat(copy).size).toBe(4096);
    expect(() => ftruncate(copy, 0)).toThrow("EPERM");
  } finally {
    close(copy);
    word.close();
  }
});
