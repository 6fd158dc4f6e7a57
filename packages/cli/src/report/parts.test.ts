import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { heartbeat, PHASES, phasesOf } from "../../test/report-data.ts";
import { axis } from "./axis.ts";
import { formatBytes, formatDate, formatMs, formatShare, formatTick } from "./format.ts";
import { linePoints, longestGap, unwrap } from "./heartbeat.ts";
import { knownPhases, lastOfNew, showPhases, standstillMs, standstillSpan, standstillsOf } from "./phases.ts";
import { histogram, percentile } from "./statistics.ts";
import { STYLE } from "./style.ts";

const spaced = (text: string) => text.replaceAll("\u00a0", " ");

test.each([
  [0, "0 ms"],
  [0.0523, "0.05 ms"],
  [1.4, "1.40 ms"],
  [12.345, "12.3 ms"],
  [99.96, "100 ms"],
  [313.8, "314 ms"],
  [999.6, "1.00 s"],
  [42_000, "42.0 s"],
  [125_000, "2 min 5 s"],
  [7_325_000, "2 h 2 min"],
])("%d ms is written %s", (ms, text) => {
  expect(spaced(formatMs(ms))).toBe(text);
});

test("bytes, shares and dates have their units", () => {
  expect([0, 1023, 87_680, 512 << 20, 24.5 * 2 ** 30].map(formatBytes).map(spaced)).toEqual([
    "0 bytes",
    "1023 bytes",
    "85.6 KiB",
    "512 MiB",
    "24.5 GiB",
  ]);
  expect([0, 0.0004, 0.105, 1].map(formatShare).map(spaced)).toEqual([
    "0.0 %",
    "<0.1 %",
    "10.5 %",
    "100.0 %",
  ]);
  expect(formatDate(Date.UTC(2026, 10, 3, 12, 0, 1))).toBe("2026-11-03 12:00:01 UTC");
});

describe("an axis", () => {
  test("has marks that people count in, all of them within it", () => {
    const ends = fc.record({
      min: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      span: fc.double({ min: 1e-3, max: 1e7, noNaN: true }),
    });
    fc.assert(
      fc.property(ends, fc.integer({ min: 2, max: 10 }), ({ min, span }, marks) => {
        const { ticks, step, max, at } = axis(min, min + span, marks);
        expect(ticks.length).toBeLessThanOrEqual(marks + 1);
        for (const tick of ticks) {
          expect(tick).toBeWithin(min - step * 1e-6, max + step * 1e-6 + 1e-9);
          expect(Object.is(tick, -0)).toBe(false);
        }
        expect([1, 2, 2.5, 5, 10]).toContainEqual(
          Number((step / 10 ** Math.floor(Math.log10(step * 1.0001))).toFixed(6)),
        );
        expect([at(min - 1), at(max + 1)]).toEqual([0, 1]);
      }),
    );
  });

  test("of what is counted has whole numbers", () => {
    expect(axis(0, 2.2, 5, 1).ticks).toEqual([0, 1, 2]);
  });

  test("labels have as many digits as their step", () => {
    expect(
      [
        formatTick(5, 5),
        formatTick(7.5, 2.5),
        formatTick(0.25, 0.05),
        formatTick(1500, 500),
        formatTick(2000, 1000),
      ].map(spaced),
    ).toEqual(["5 ms", "7.5 ms", "0.25 ms", "1500 ms", "2 s"]);
  });
});

describe("phases", () => {
  test("stand still from the stop for as long as the VMM says", () => {
    const stills = standstillsOf({ phases: PHASES, blackoutMs: 13.3 });
    expect(stills).toHaveLength(1);
    expect(stills[0]?.startMs).toBeCloseTo(300.5);
    expect(stills[0]?.endMs).toBeCloseTo(313.8);
    expect(standstillsOf({ phases: PHASES })[0]?.endMs).toBeCloseTo(313.8);
    expect(standstillsOf({ phases: PHASES.slice(0, 3) })).toEqual([]);
    const shown = showPhases(PHASES, stills);
    expect(shown.filter((phase) => phase.stillMs > 0.01).map(({ name }) => name)).toEqual(
      PHASES.slice(3).map(({ name }) => name),
    );
  });

  test("stand still in parts where the VMM says so", () => {
    const standstills = [
      { startMs: 300, durationMs: 2 },
      { startMs: 310, durationMs: 1 },
    ];
    const stills = standstillsOf({ phases: PHASES, blackoutMs: 3, standstills });
    expect(standstillMs(stills)).toBe(3);
    expect(standstillSpan(stills)).toEqual({ startMs: 300, endMs: 311 });
    const shown = showPhases(PHASES, stills);
    const [stop, exec] = ["stop", "exec"].map((name) => shown.find((phase) => phase.name === name)?.stillMs);
    expect(stop).toBeCloseTo(1.4);
    expect(exec).toBe(0);
    expect(shown.reduce((sum, { stillMs }) => sum + stillMs, 0)).toBeCloseTo(3);
  });

  test("that nobody has heard of belong to who was at work then", () => {
    const phases = phasesOf([
      ["stop", 1],
      ["tidy", 1],
      ["exec", 1],
      ["polish", 1],
    ]);
    expect(showPhases(phases, []).map(({ actor }) => actor)).toEqual(["old", "old", "new", "new"]);
  });
});

describe("a heartbeat", () => {
  test("goes on where its count wraps", () => {
    const samples = [2 ** 32 - 2, 1, 5].map((count, atMs) => ({ atMs, count }));
    expect(unwrap(samples).map(({ count }) => count)).toEqual([0, 3, 7]);
  });

  test("shows the longest gap near the standstill, and no other", () => {
    const still = { startMs: 300, endMs: 314 };
    const gap = longestGap(heartbeat(301, 313.5), still);
    expect(gap?.startMs).toBeWithin(300.8, 301.41);
    expect(gap?.endMs).toBeWithin(313.4, 313.81);
    const elsewhere = longestGap(heartbeat(100, 150), still);
    expect((elsewhere?.endMs ?? 0) - (elsewhere?.startMs ?? 0)).toBeLessThan(0.5);
    expect(longestGap([], still)).toBeUndefined();
  });

  test("is a line that never falls, and flat where it stood still", () => {
    const points = linePoints(heartbeat(301, 313.5), 298, 316);
    const heights = points.map(([, y]) => y);
    expect(heights).toEqual(heights.toSorted((a, b) => a - b));
    const flat = points.filter(([x]) => x > 0.2 && x < 0.8).map(([, y]) => y);
    expect(new Set(flat).size).toBe(1);
    expect(linePoints(heartbeat(1, 2).slice(0, 2), 0, 1)).toEqual([]);
  });
});

describe("figures", () => {
  test("are values that were measured", () => {
    const sorted = Array.from({ length: 200 }, (_, i) => i + 1);
    expect([0, 50, 90, 99, 99.9, 100].map((p) => percentile(sorted, p))).toEqual([
      1, 100, 180, 198, 200, 200,
    ]);
    expect(percentile([7], 50)).toBe(7);
  });

  test("a histogram has every value in a bin or beyond", () => {
    const values = fc.array(fc.double({ min: 0, max: 1e5, noNaN: true }), { minLength: 1, maxLength: 500 });
    fc.assert(
      fc.property(values, (some) => {
        const sorted = some.toSorted((a, b) => a - b);
        const { bins, beyond } = histogram(sorted);
        expect(bins.reduce((sum, { count }) => sum + count, 0) + beyond.length).toBe(sorted.length);
        expect(beyond.length).toBeLessThanOrEqual(Math.ceil(sorted.length / 100));
        expect(bins.length).toBeWithin(8, 49);
      }),
    );
  });
});

describe("colors", () => {
  type Scheme = Readonly<Record<string, string>>;

  /** The colors of the light scheme, then of the dark one. */
  const schemes: readonly Scheme[] = [...STYLE.matchAll(/:root \{([^}]*)\}/g)].map(([, block = ""]) =>
    Object.fromEntries(
      [...block.matchAll(/--(\w+): (#[0-9a-f]{6})/g)].map(([, name, color]) => [name, color]),
    ),
  );

  /** Relative luminance (WCAG 2.2). */
  function luminance(color: string): number {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
      const c = Number.parseInt(color.slice(at, at + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  function contrast(a = "", b = ""): number {
    const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  }

  const text = [
    ...["text", "quiet", "guest", "bad"].flatMap((color) => [
      [color, "card"],
      [color, "page"],
    ]),
    ...["old", "new", "keeper", "asked"].map((bar) => ["on", bar]),
  ];

  test.each([0, 1])("of text are far enough from what is behind it (scheme %d)", (scheme) => {
    expect(schemes).toHaveLength(2);
    const colors = schemes[scheme] as Scheme;
    for (const [a = "", b = ""] of text) {
      expect([a, b, contrast(colors[a], colors[b]) >= 4.5]).toEqual([a, b, true]);
    }
    // lines and bars
    for (const color of ["guest", "old", "new", "keeper", "asked"]) {
      expect([color, contrast(colors[color], colors.card) >= 3]).toEqual([color, true]);
      expect([color, contrast(colors[color], colors.still) >= 3]).toEqual([color, true]);
    }
  });
});

describe("phases by name", () => {
  const BEGIN = /(?:begin\(|new Attempt\([^)]*, |\{ name: )"([a-z][a-zA-Z -]*)"(?:, startNs|[),])/g;

  test("each that a VMM may tell of has a text", () => {
    const roots = ["cpr", "vmm"].map((name) => join(import.meta.dir, `../../../${name}/src`));
    const named = roots
      .flatMap((root) => [...new Bun.Glob("**/*.ts").scanSync(root)].map((file) => join(root, file)))
      .filter(
        (file) =>
          !file.endsWith(".test.ts") &&
          !file.endsWith("/protocol.ts") &&
          readFileSync(file, "utf8").includes("phases"),
      )
      .flatMap((file) => [...readFileSync(file, "utf8").matchAll(BEGIN)].map(([, name]) => name as string));
    expect(new Set(named).size).toBeGreaterThan(15);
    expect(named.filter((name) => !knownPhases().includes(name))).toEqual([]);
  });

  test("what comes after the exec is the old VMM's where the keeper has become that", () => {
    const phases = ["persist", "exec", "validate", "load"].map((name, i) => ({
      name,
      startMs: i,
      durationMs: 1,
    }));
    const failed = { phases, status: "failed", mode: "cpr-exec" };
    const revived = lastOfNew({ ...failed, pidBefore: 1, pidAfter: 2 });
    expect(showPhases(phases, [], revived).map(({ actor }) => actor)).toEqual(["old", "new", "old", "old"]);
    expect(lastOfNew({ ...failed, pidBefore: 1, pidAfter: 1 })).toBeUndefined();
    expect(lastOfNew({ ...failed, status: "completed", pidBefore: 1, pidAfter: 2 })).toBeUndefined();
  });
});
