import { describe, expect, test } from "bun:test";
import { heartbeat, PHASES, phasesOf, SOAK, UPDATE } from "../../test/report-data.ts";
import { renderSoakReport } from "./soak-report.ts";
import { renderUpdateReport } from "./update-report.ts";

/** The page's words as a reader sees them. */
function wordsOf(page: string): string {
  return page
    .replace(/<style>.*?<\/style>/s, "")
    .replace(/<[^>]+>/g, " ")
    .replaceAll("&#39;", "'")
    .replace(/[\s\u00a0]+/g, " ");
}

interface Element {
  readonly tag: string;
  readonly attributes: ReadonlyMap<string, string>;
}

function elementsOf(page: string): Element[] {
  const found: Element[] = [];
  new HTMLRewriter()
    .on("*", {
      element: ({ tagName: tag, attributes }) =>
        void found.push({ tag, attributes: new Map(attributes as Iterable<[string, string]>) }),
    })
    .transform(page);
  return found;
}

const FAILED = {
  ...UPDATE,
  status: "failed",
  error: 'the new VMM gave up: "cpu0" <is> odd',
  phases: phasesOf([
    ...PHASES.slice(0, 9).map((p) => [p.name, p.durationMs] as const),
    ["fallback", 1],
    ["exec", 6],
    ["resume", 1],
  ]),
  blackoutMs: 19,
};

const pages: Readonly<Record<string, string>> = {
  update: renderUpdateReport({ ...UPDATE, heartbeat: heartbeat(301, 313.5) }),
  "update without a heartbeat": renderUpdateReport(UPDATE),
  "failed update": renderUpdateReport(FAILED),
  "update of which hardly anything is known": renderUpdateReport({
    vm: UPDATE.vm,
    host: UPDATE.host,
    mode: "cpr-exec",
    status: "failed",
    startedAt: 0,
    phases: [],
  }),
  soak: renderSoakReport(SOAK),
  "soak of one update": renderSoakReport({
    ...SOAK,
    updates: SOAK.updates.slice(0, 1),
    failures: ["one <bad> thing"],
  }),
  "soak of none": renderSoakReport({ ...SOAK, updates: [], gauges: [] }),
};

describe.each(Object.keys(pages))("the page of the %s", (name) => {
  const page = pages[name] as string;
  const elements = elementsOf(page);

  test("needs nothing from elsewhere and runs nothing", () => {
    expect(page).toStartWith("<!doctype html>");
    expect(page).toContain("default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;");
    expect(page).not.toMatch(/https?:|url\(|@import|@font-face/);
    const tags = new Set(elements.map(({ tag }) => tag));
    for (const tag of ["script", "link", "img", "iframe", "object", "image", "use"]) {
      expect([tag, tags.has(tag)]).toEqual([tag, false]);
    }
    for (const { attributes } of elements) {
      for (const attribute of attributes.keys()) expect(attribute).not.toMatch(/^(on|src|href)/);
    }
  });

  test("closes what it opens, in order", () => {
    const open: string[] = [];
    const body = page.replace(/<style>.*?<\/style>/s, "").replace(/^<!doctype html>/, "");
    for (const [, end, tag, self] of body.matchAll(/<(\/?)([a-zA-Z0-9]+)(?:\s[^>]*?)?(\/?)>/g)) {
      if (end) expect(open.pop()).toBe(tag);
      else if (!self && tag !== "meta") open.push(tag as string);
    }
    expect(open).toEqual([]);
  });

  test("says every picture in words, and names every part that it refers to", () => {
    const ids = elements.flatMap(({ attributes }) => attributes.get("id") ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { tag, attributes } of elements) {
      const label = attributes.get("aria-labelledby");
      if (label !== undefined) expect(ids).toContain(label);
      if (attributes.get("role") === "img") expect(attributes.get("aria-label")?.length).toBeGreaterThan(20);
      if (tag === "svg") expect(attributes.get("aria-hidden")).toBe("true");
    }
  });

  test("has no number that is none, and no place outside its diagram", () => {
    expect(page).not.toMatch(/NaN|Infinity|undefined|\[object/);
    expect(wordsOf(page)).not.toContain("-0 ");
    for (const [, value] of page.matchAll(/(?:left|width|bottom):(-?[\d.]+)%/g)) {
      expect(Number(value)).toBeWithin(0, 100.001);
    }
  });
});

describe("the report of an update", () => {
  const words = wordsOf(pages.update as string);

  test("begins with the outcome in figures", () => {
    expect(words).toContain("Live update of web The VMM was replaced under the running guest.");
    expect(words).toContain(
      "13.3 ms the guest stood still 314 ms the whole update 85.6 KiB state handed over",
    );
    expect(words).toContain("4711 pid, before and after");
  });

  test("has every phase in its table, with who did it, how long it took, and its share of the standstill", () => {
    expect(words).toContain(
      "1 preflight new command new command The new command says whether it can load the live state 0 ms 180 ms runs",
    );
    expect(words).toContain("4 stop old VMM old VMM vCPUs stop, then devices 301 ms 1.40 ms 10.5 %");
    expect(words).toMatch(/7 exec new VMM new VMM .* 303 ms 6.00 ms 45.1 %/);
    expect(words).toContain("standstill 301 ms 13.3 ms 100.0 %");
  });

  test("draws each phase where it was, in the lane of who did it", () => {
    const bars = elementsOf(pages.update as string).filter(({ attributes }) =>
      attributes.get("class")?.startsWith("bar"),
    );
    const exec = bars.filter(({ attributes }) => attributes.get("title")?.startsWith("7. exec"));
    expect(exec.map(({ attributes }) => attributes.get("class"))).toEqual(["bar new", "bar new"]);
    // 303.4 of 313.8 ms and 3 % more
    expect(exec[0]?.attributes.get("style")).toStartWith("left:93.8");
    const preflight = bars.find(({ attributes }) => attributes.get("title")?.startsWith("1. preflight"));
    expect(preflight?.attributes.get("class")).toBe("bar asked");
    expect(preflight?.attributes.get("style")).toStartWith("left:0%;width:55.6");
  });

  test("tells what was seen from outside", () => {
    expect(words).toMatch(/Seen from outside the guest's count stood still for 12\.[4-8] ms, by 1,601 looks/);
    expect(wordsOf(pages["update without a heartbeat"] as string)).toContain(
      "Seen from outside Not from outside",
    );
  });

  test("that failed tells why, and shows the old command at work again", () => {
    const failed = pages["failed update"] as string;
    expect(failed).toContain("the new VMM gave up: &quot;cpu0&quot; &lt;is&gt; odd");
    expect(wordsOf(failed)).toContain("The guest runs on. The guest stood still for 19.0 ms .");
    expect(wordsOf(failed)).toMatch(/10 fallback new VMM .* 11 exec old VMM old VMM .* 12 resume old VMM/);
  });

  test("in which the guest stands still twice shows both times, and that it ran in between", () => {
    const standstills = [
      { startMs: 300.5, durationMs: 1 },
      { startMs: 312, durationMs: 0.8 },
    ];
    const page = renderUpdateReport({ ...UPDATE, blackoutMs: 1.8, standstills });
    expect(wordsOf(page)).toContain("The guest stood still for 1.80 ms , in 2 parts.");
    expect(wordsOf(page)).toMatch(/7 exec new VMM .* 303 ms 6.00 ms runs/);
    const bands = elementsOf(page).filter(({ attributes }) => attributes.get("class") === "still");
    // in four lanes of two charts
    expect(bands).toHaveLength(16);
    expect(page).toContain(
      "The guest stands still from 301\u00a0ms to 302\u00a0ms and from 312\u00a0ms to 313\u00a0ms.",
    );
  });

  test("of a transfer tells the pids of both", () => {
    const page = wordsOf(
      renderUpdateReport({
        ...UPDATE,
        mode: "cpr-transfer",
        pidAfter: 4800,
        phases: phasesOf([
          ["setup", 1],
          ["successor", 90],
          ["stop", 1],
          ["save", 1],
          ["send", 0.2],
          ["receive", 0.3],
          ["load", 1],
          ["resume", 0.3],
        ]),
        blackoutMs: 3.8,
      }),
    );
    expect(page).toContain("4711 → 4800 pid, before and after");
    expect(page).toContain("Pid 4711 before, 4800 after");
    expect(page).toMatch(/6 receive new VMM/);
    expect(page).not.toContain("Keeper until");
  });

  test("shows names as they are, whatever is in them", () => {
    const name = `<script>alert("x")</script>' & 'y`;
    const page = renderUpdateReport({ ...UPDATE, vm: { ...UPDATE.vm, name } });
    expect(page).toContain("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&#39; &amp; &#39;y");
    expect(page).not.toContain("<script");
  });
});

describe("the report of a soak", () => {
  const words = wordsOf(pages.soak as string);

  test("has the percentiles of each mode and of all", () => {
    expect(words).toContain("100 live updates of web One guest ran through all of them.");
    expect(words).toContain("cpr-exec 50 8.00 ms 8.40 ms 8.80 ms 8.80 ms 8.80 ms 8.80 ms");
    expect(words).toContain("cpr-transfer 50 2.10 ms 2.50 ms 2.90 ms 2.90 ms 2.90 ms 2.90 ms");
    expect(words).toContain("all 100 2.10 ms 2.90 ms");
  });

  test("tells what grew, and by how much", () => {
    expect(words).toContain("open fds 31 31 31 none");
    expect(words).toContain("RSS 56 MiB 56.0 MiB 57 MiB +1 KiB");
  });

  test("draws a histogram and a course for each mode", () => {
    const pictures = elementsOf(pages.soak as string).filter(
      ({ attributes }) => attributes.get("role") === "img",
    );
    expect(pictures.map(({ attributes }) => attributes.get("aria-label")?.replaceAll("\u00a0", " "))).toEqual(
      [
        "Histogram of the pauses of 50 updates by cpr-exec: half of them at most 8.40 ms, 99 of 100 at most 8.80 ms.",
        "The pause of each update by cpr-exec in order: the median of the first half is 8.40 ms, of the second half 8.40 ms.",
        "Histogram of the pauses of 50 updates by cpr-transfer: half of them at most 2.50 ms, 99 of 100 at most 2.90 ms.",
        "The pause of each update by cpr-transfer in order: the median of the first half is 2.50 ms, of the second half 2.50 ms.",
      ],
    );
  });

  test("lists what went wrong", () => {
    const page = pages["soak of one update"] as string;
    expect(page).toContain("<li>one &lt;bad&gt; thing</li>");
    expect(wordsOf(page)).toContain("Something went wrong once.");
  });
});
