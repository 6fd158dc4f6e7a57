import { expect, test } from "bun:test";
import { parseChannels, parseUri, readChannels } from "./channels.ts";

const file = (path: string, offset = 0) => ({ main: { type: "file", path, offset } });

test("a file's uri has a path and perhaps an offset, in bytes or with a suffix", () => {
  for (const [uri, path, offset] of [
    ["file:/a/b", "/a/b", 0],
    ["file:/a,b", "/a,b", 0],
    ["file:/a,offset=4096", "/a", 4096],
    ["file:/a,offset=0x1000", "/a", 4096],
    ["file:/a,offset=1M", "/a", 1 << 20],
    ["file:/a,offset=3k", "/a", 3072],
    ["file:/a,offset=7B", "/a", 7],
    ["file:/a,offset=1,offset=2", "/a,offset=1", 2],
  ] as const) {
    expect<unknown>([uri, parseUri(uri)]).toEqual([uri, file(path, offset)]);
  }
});

test("an offset that is none is refused, and not taken for a part of the name", () => {
  for (const offset of ["zz", "", "-1", "1.5", "1MB", "0x", "9007199254740993", "8E"]) {
    expect(() => parseUri(`file:/a,offset=${offset}`)).toThrow("file URI has bad offset");
  }
});

test("a relative path is refused: it would be in the VM's own folder", () => {
  expect(() => parseUri("file:state")).toThrow("'state' is not an absolute path");
  const addr = { transport: "file", filename: "state" };
  expect(() => parseChannels([{ "channel-type": "main", addr }])).toThrow("'state' is not an absolute path");
  expect(() => parseUri("file:")).toThrow("names no file");
});

test("sockets are named by scheme, and either a uri or channels are given", () => {
  expect(parseUri("unix:/s")).toEqual({ main: { type: "unix", path: "/s" } });
  expect(parseUri("cpr:/s")).toEqual({ cpr: { type: "unix", path: "/s" } });
  expect(() => parseUri("tcp:localhost:1")).toThrow("unknown migration protocol");
  expect(readChannels({})).toEqual({});
  expect(() => readChannels({ uri: "unix:/s", channels: [] })).toThrow("mutually exclusive");
});
