import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  close,
  fstat,
  ftruncate,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  memfdCreate,
  memoryView,
  mmap,
  munmap,
  O_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  open,
  openFds,
  PROT_READ,
  PROT_WRITE,
  setModified,
} from "@vmm/libc";
import { newFds } from "@vmm/libc/testing";
import fc from "fast-check";
import type { CprError } from "../cpr-error.ts";
import type { RamBlock } from "../host.ts";
import { ramChanges, timeOfRam } from "../ram/file-time.ts";
import type { RamPlacement } from "../ram/placement.ts";
import { readRam } from "../ram/read-ram.ts";
import { takeSamples } from "../ram/samples.ts";
import { writeRam } from "../ram/write-ram.ts";
import { encodeState } from "../state/codec.ts";
import type { StateHeader } from "../state/header.ts";
import { StateFile } from "../state-file.ts";
import { SavedFile } from "./saved-file.ts";

const PAGE = 4096;
const MIB = 1 << 20;

let folder = "";
let fdsBefore: number[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-saved-"));
  fdsBefore = openFds();
});
afterEach(() => {
  expect(newFds(fdsBefore)).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});

type Memory = RamBlock & { readonly bytes: Uint8Array };

/** Memory of that many pages: shared in a memfd, or private. */
function memory(name: string, pages: number, shared: boolean, more: Partial<RamBlock> = {}): Memory {
  const size = pages * PAGE;
  const fd = shared ? memfdCreate(name, 1) : -1;
  if (shared) ftruncate(fd, size);
  const flags = shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  const address = mmap({ length: size, prot: PROT_READ | PROT_WRITE, flags, ...(shared && { fd }) });
  const bytes = new Uint8Array(memoryView(address, size));
  return { name, size, shared, origin: "backend", address, ...(shared && { fd }), ...more, bytes };
}

function free(...blocks: readonly Memory[]): void {
  for (const { address, size, fd } of blocks) {
    munmap(address, size);
    if (fd !== undefined) close(fd);
  }
}

const stream = ({ name, size }: RamBlock): RamPlacement => ({ name, size, place: "stream" });

const HEADER: StateHeader = {
  writer: "test",
  mode: "normal",
  running: true,
  stoppedMonotonicNs: 1,
  stoppedBoottimeNs: 1,
  stoppedRealtimeNs: 1,
  bootId: "none",
  machine: {},
};

/** Writes a state with the blocks' RAM. */
function write(blocks: readonly RamBlock[], { ram = blocks.map(stream), offset = 0 } = {}): string {
  const path = join(folder, "state");
  const file = new StateFile(path, offset);
  file.append(encodeState({ ...HEADER, ram }, []));
  const copied = blocks.map((block, i) => (ram[i]?.place === "stream" ? block : undefined));
  if (copied.some((block) => block)) for (const _ of writeRam(file, copied));
  file.finish(true);
  return path;
}

/** What comes of loading: `loaded`, or the error's code. */
function load(path: string, blocks: readonly RamBlock[], offset = 0): string {
  let file: SavedFile | undefined;
  try {
    file = new SavedFile(path, offset);
    for (const _ of file.loadRam(blocks));
    return "loaded";
  } catch (error) {
    return (error as CprError).code ?? String(error);
  } finally {
    file?.close();
  }
}

/** The pages that hold something, in MiB-sized and smaller runs. */
const patterns = fc.array(
  fc.tuple(fc.nat(600), fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 255 })),
  {
    maxLength: 12,
  },
);

function paint(bytes: Uint8Array, pattern: readonly (readonly [number, number, number])[]): void {
  for (const [page, count, value] of pattern) bytes.fill(value, page * PAGE, (page + count) * PAGE);
}

describe("RAM that is saved and loaded", () => {
  test("is the same again, whichever pages hold something, shared and private", () => {
    fc.assert(
      fc.property(patterns, patterns, fc.boolean(), (one, two, shared) => {
        const from = [memory("ram0", 700, shared), memory("rom", 16, true)];
        const to = [memory("rom", 16, true), memory("ram0", 700, !shared)];
        paint((from[0] as Memory).bytes, one);
        paint((from[1] as Memory).bytes, two);
        expect(load(write(from), to)).toBe("loaded");
        expect(Bun.hash.crc32((to[1] as Memory).bytes)).toBe(Bun.hash.crc32((from[0] as Memory).bytes));
        expect(Bun.hash.crc32((to[0] as Memory).bytes)).toBe(Bun.hash.crc32((from[1] as Memory).bytes));
        free(...from, ...to);
      }),
      { numRuns: 30 },
    );
  });

  test("takes no room for pages of zeros, and makes none of them", () => {
    const from = memory("ram0", 4096, true);
    const to = memory("ram0", 4096, true);
    from.bytes[2000 * PAGE + 7] = 1;
    from.bytes.fill(0, 0, 64 * PAGE);
    const path = write([from]);
    expect(statSync(path).size).toBeLessThan(2 * PAGE);
    expect(load(path, [to])).toBe("loaded");
    expect(to.bytes[2000 * PAGE + 7]).toBe(1);
    const blocksOf = ({ fd }: Memory) => statSync(`/proc/self/fd/${fd}`).blocks;
    expect(blocksOf(from)).toBe(65 * 8);
    expect(readFileSync(path).length).toBeGreaterThan(0);
    free(from, to);
  });

  test("lies at an offset of a file that holds other things", () => {
    const [from, to] = [memory("ram0", 8, true), memory("ram0", 8, true)];
    from.bytes.fill(9);
    const path = join(folder, "state");
    writeFileSync(path, new Uint8Array(3 * MIB).fill(0x77));
    write([from], { offset: 12345 });
    expect(load(path, [to], 12345)).toBe("loaded");
    expect(to.bytes.every((byte) => byte === 9)).toBe(true);
    const bytes = readFileSync(path);
    expect([bytes[12344], bytes.length, bytes[3 * MIB - 1]]).toEqual([0x77, 3 * MIB, 0x77]);
    expect(load(path, [to])).toBe("state-magic");
    free(from, to);
  });

  test("takes the place of what was in a file before, where zeros are as well", () => {
    const [from, to] = [memory("ram0", 8, true), memory("ram0", 8, true)];
    from.bytes[2 * PAGE] = 1;
    to.bytes.fill(7);
    const empty = () => void to.bytes.fill(0);
    expect(load(write([from]), [{ ...to, earlier: { modifiedNs: 0n, empty } }])).toBe("loaded");
    expect(Buffer.from(from.bytes).equals(to.bytes)).toBe(true);
    free(from, to);
  });

  test("must find the same memory, by name and size", () => {
    const [ram, rom] = [memory("ram0", 8, true), memory("rom", 8, true)];
    const path = write([ram]);
    expect(load(path, [])).toBe("ram");
    expect(load(path, [rom])).toBe("ram");
    expect(load(path, [ram, rom])).toBe("ram");
    expect(load(path, [{ ...ram, size: 7 * PAGE }])).toBe("ram");
    expect(load(path, [ram])).toBe("loaded");
    free(ram, rom);
  });
});

describe("a file", () => {
  test("cut short anywhere is refused, as is one with any byte changed", () => {
    const [from, to] = [memory("ram0", 64, true), memory("ram0", 64, true)];
    for (const page of [1, 2, 9, 40]) from.bytes.fill(page, page * PAGE, (page + 1) * PAGE);
    const whole = new Uint8Array(readFileSync(write([from])));
    const wrong = join(folder, "wrong");
    const codeOf = (bytes: Uint8Array) => {
      writeFileSync(wrong, bytes);
      return load(wrong, [to]);
    };
    for (let length = 0; length < whole.length; length += length < 700 ? 1 : 37)
      expect([length, codeOf(whole.subarray(0, length))]).toEqual([
        length,
        expect.stringMatching(/^state-(truncated|magic)$/),
      ]);
    for (let at = 0; at < whole.length; at += at < 700 ? 1 : 29) {
      const changed = whole.slice();
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      expect([at, codeOf(changed)]).toEqual([at, expect.stringMatching(/^state-/)]);
    }
    expect(codeOf(new Uint8Array([...whole, 0]))).toBe("state-corrupt");
    expect(codeOf(whole)).toBe("loaded");
    free(from, to);
  });

  test("that says that it has less than it should, or pages twice or elsewhere, is refused", () => {
    const to = memory("ram0", 8, true);
    const path = join(folder, "records");
    const one = memory("ram0", 8, true);
    one.bytes.fill(1, 0, PAGE);
    one.bytes.fill(2, 4 * PAGE, 5 * PAGE);
    const records = () => {
      const file = new StateFile(path, 0);
      for (const _ of writeRam(file, [one]));
      file.finish(false);
      return new Uint8Array(readFileSync(path));
    };
    const bytes = records();
    const record = 32 + PAGE;
    const codeOf = (contents: Uint8Array) => {
      writeFileSync(path, contents);
      const fd = open(path, O_RDONLY | O_CLOEXEC);
      try {
        for (const _ of readRam(fd, 0, [to]));
        return "loaded";
      } catch (error) {
        return (error as CprError).code;
      } finally {
        close(fd);
      }
    };
    const part = (from: number, to?: number) => bytes.subarray(from, to);
    expect(codeOf(bytes)).toBe("loaded");
    // the second record left out; the two exchanged; the first one twice; the end alone
    expect(codeOf(Buffer.concat([part(0, record), part(2 * record)]))).toBe("state-corrupt");
    expect(codeOf(Buffer.concat([part(record, 2 * record), part(0, record), part(2 * record)]))).toBe(
      "state-corrupt",
    );
    expect(codeOf(Buffer.concat([part(0, record), part(0, record), part(2 * record)]))).toBe("state-corrupt");
    expect(codeOf(part(2 * record))).toBe("state-corrupt");
    free(to, one);
  });

  test("that is not whole never gets its name", () => {
    const path = join(folder, "whole");
    const file = new StateFile(path, 0);
    file.append(new Uint8Array(10));
    expect(readdirSync(folder)).toEqual([`whole.${process.pid}.tmp`]);
    file.abandon();
    file.abandon();
    expect(readdirSync(folder)).toEqual([]);
    expect(() => new StateFile("/no/such/folder/file", 0)).toThrow(
      "cannot save the state to /no/such/folder/file",
    );
  });
});

describe("RAM that stays in its file", () => {
  const inPlace = (block: RamBlock): RamPlacement => ({
    ...{ name: block.name, size: block.size, place: "file", path: "/some/ram" },
    samples: takeSamples(block),
  });

  test("is recognized, and any other is not", () => {
    fc.assert(
      fc.property(patterns, (pattern) => {
        const ram = memory("ram0", 900, true, { path: "/some/ram" });
        paint(ram.bytes, [...pattern, [3, 1, 77]]);
        const path = write([ram], { ram: [inPlace(ram)] });
        expect(load(path, [ram])).toBe("loaded");
        ram.bytes.fill(0);
        expect(load(path, [ram])).toBe("ram");
        free(ram);
      }),
      { numRuns: 20 },
    );
  });

  test("is recognized by when it was changed last, also where no sample tells", () => {
    const path = join(folder, "ram");
    const [fd, ram] = [open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600), memory("ram0", 8, true, { path })];
    ftruncate(fd, ram.size);
    setModified(fd, 1n);
    const left = { ...inPlace(ram), modified: String(timeOfRam(fd)) };
    const found = () => ({ ...ram, earlier: { modifiedNs: fstat(fd).modifiedNs, empty: () => {} } });
    const state = write([ram], { ram: [left] });
    expect(load(state, [found()])).toBe("loaded");
    // one that was made anew
    expect(load(state, [ram])).toBe("ram");
    setModified(fd, 1n);
    expect(load(state, [found()])).toBe("ram");
    ramChanges(fd);
    expect(load(state, [found()])).toBe("ram");
    close(fd);
    free(ram);
  });

  test("must be shared, in a file with a name", () => {
    const ram = memory("ram0", 8, true, { path: "/some/ram" });
    ram.bytes[0] = 1;
    const path = write([ram], { ram: [inPlace(ram)] });
    const { path: _, ...nameless } = ram;
    expect(load(path, [nameless])).toBe("ram");
    expect(load(path, [{ ...ram, shared: false }])).toBe("ram");
    expect(load(path, [ram])).toBe("loaded");
    free(ram);
  });
});
