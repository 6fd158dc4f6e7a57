import { emptyOutcome, type Outcome } from "./outcome.ts";

/** An element as `Bun.XML.parse` gives it with `compact: false`. */
interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly (XmlElement | string)[];
}

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
    const fullName = `${testcase.attributes.file}: ${names.join(" > ")}`;
    const results = elements(testcase).map((child) => child.name);
    if (results.includes("failure") || results.includes("error")) outcome.failed.push(fullName);
    else if (results.includes("skipped")) outcome.skipped.push({ name: fullName, reason: skipReason(names) });
    else outcome.passed++;
  }
}

function elements(parent: XmlElement): XmlElement[] {
  return parent.children.filter((child) => typeof child !== "string");
}

/** The innermost name that ends in a parenthesis gives the reason. */
function skipReason(names: readonly string[]): string {
  const reasons = names.map((name) => /\(((?:[^()]|\([^()]*\))+)\)\s*$/.exec(name)?.[1]);
  return reasons.findLast((reason) => reason !== undefined) ?? "no reason given";
}
