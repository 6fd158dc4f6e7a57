import { emptyOutcome, type Outcome } from "./outcome.ts";

/** An element as `Bun.XML.parse` gives it with `compact: false`. */
interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly (XmlElement | string)[];
}

/** What the report calls a `beforeAll` or `afterAll`, of which it tells only when it failed or its group was skipped. */
const HOOK = "(unnamed)";

/** The outcome that a JUnit report of `bun test` tells, and the test files that it knows of. */
export interface JunitReport {
  readonly outcome: Outcome;
  readonly files: ReadonlySet<string>;
}

/**
 * Reads a JUnit report of `bun test`.
 *
 * A skipped test says why in its name, or its group's: the parenthesis at the end, "boots Linux (no qemu)". The
 * report itself has no place for it.
 */
export function readJunit(xml: string): JunitReport {
  const outcome = emptyOutcome();
  const files = new Set<string>();
  visit(Bun.XML.parse(xml, { compact: false }) as XmlElement, []);
  return { outcome, files };

  /** @param names of the groups around the element, the outermost first */
  function visit(element: XmlElement, names: readonly string[]): void {
    const { file = "", name = "" } = element.attributes;
    if (file) files.add(file);
    if (element.name === "testcase") {
      count(element, [...names, name]);
      return;
    }
    // The suite of a whole file is named as the file is; that of the whole report says nothing.
    const isGroup = element.name === "testsuite" && name !== file;
    for (const child of elements(element)) visit(child, isGroup ? [...names, name] : names);
  }

  function count(testcase: XmlElement, names: readonly string[]): void {
    const { file, name } = testcase.attributes;
    const results = elements(testcase).map((child) => child.name);
    const isHook = name === HOOK;
    if (results.includes("failure") || results.includes("error")) {
      outcome.failed.push(fullName(file, isHook ? [...names.slice(0, -1), "a hook"] : names));
    } else if (results.includes("skipped")) {
      const { reason, rest } = takeReason(names);
      if (!isHook) outcome.skipped.push({ name: fullName(file, rest), reason });
    } else outcome.passed++;
  }
}

function fullName(file: string | undefined, names: readonly string[]): string {
  return `${file}: ${names.join(" > ")}`;
}

function elements(parent: XmlElement): XmlElement[] {
  return parent.children.filter((child) => typeof child !== "string");
}

/** The innermost name that ends in a parenthesis gives the reason, and does not have it any more. */
function takeReason(names: readonly string[]): { reason: string; rest: readonly string[] } {
  const parts = names.map((name) => /^(.*?)\s*\(((?:[^()]|\([^()]*\))+)\)$/.exec(name));
  const reason = parts.findLast((match) => match !== null)?.[2];
  const rest = names.map((name, i) => (parts[i]?.[2] === reason ? (parts[i]?.[1] ?? name) : name));
  return { reason: reason ?? "no reason given", rest };
}
