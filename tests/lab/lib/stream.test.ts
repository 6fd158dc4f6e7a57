import { expect, test } from "bun:test";
import fc from "fast-check";
import { readToStatus } from "./stream.ts";

const END = "lab-0e0c1f9a";

/** Cuts bytes into pieces at the given places. */
async function* pieces(bytes: Buffer, cuts: number[]): AsyncGenerator<Uint8Array> {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, bytes.length]) {
    yield bytes.subarray(from, to);
    from = to;
  }
}

async function read(bytes: Buffer, cuts: number[]) {
  const chunks: Uint8Array[] = [];
  const status = await readToStatus(
    pieces(bytes, cuts),
    END,
    (chunk) => void chunks.push(Buffer.from(chunk)),
  );
  return { status, output: Buffer.concat(chunks) };
}

/** Output that may hold beginnings of the last line, but not all of it. */
const output = fc
  .array(
    fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.constantFrom("\0", `\0${END}`, "\0lab-", `${END} 3\n`)),
  )
  .map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array))))
  .filter((bytes) => !bytes.includes(`\0${END} `));
const cuts = fc.array(fc.nat(400), { maxLength: 12 });

test("output arrives byte for byte and the status with it, however the stream is cut", async () => {
  await fc.assert(
    fc.asyncProperty(output, fc.integer({ min: 0, max: 255 }), cuts, async (bytes, status, places) => {
      const stream = Buffer.concat([bytes, Buffer.from(`\0${END} ${status}\n`)]);
      expect(await read(stream, places)).toEqual({ status, output: bytes });
    }),
  );
});

test("a stream that ends early gives all it had and no status", async () => {
  await fc.assert(
    fc.asyncProperty(output, cuts, async (bytes, places) => {
      expect(await read(bytes, places)).toEqual({ status: undefined, output: bytes });
    }),
  );
});

test("output is passed on before the next piece comes", async () => {
  const seen: string[] = [];
  async function* source() {
    yield Buffer.from("one\n");
    expect(seen).toEqual(["one\n"]);
    yield Buffer.from(`two\0${END} 0\n`);
  }
  expect(await readToStatus(source(), END, (chunk) => void seen.push(Buffer.from(chunk).toString()))).toBe(0);
  expect(seen).toEqual(["one\n", "two"]);
});
