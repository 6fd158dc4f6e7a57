/** Lists of options as QEMU has them: `size=512M,share=on`. A comma in a value is written twice. */
import { VmmError } from "../vmm-error.ts";

export interface OptionListRules {
  /** What the list is given to, such as `--memory`, for messages. */
  readonly what: string;
  /** The keys there are; without it any key will do. */
  readonly keys?: readonly string[];
  /** The key of a first item that has no `=`. */
  readonly implied?: string;
}

/** Splits at single commas; `,,` stands for a comma. */
function splitItems(text: string): string[] {
  const items: string[] = [];
  let item = "";
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== ",") item += text[i];
    else if (text[i + 1] === ",") item += text[++i];
    else {
      items.push(item);
      item = "";
    }
  }
  items.push(item);
  return items;
}

/** @throws VmmError `config` for an item that is empty, unknown, without a value, or there twice. */
export function parseOptionList(text: string, rules: OptionListRules): Map<string, string> {
  const fail = (problem: string) => new VmmError("config", `${rules.what}: ${problem}`);
  if (text === "") throw fail("the value is empty");
  const options = new Map<string, string>();
  splitItems(text).forEach((item, index) => {
    const equals = item.indexOf("=");
    const implied = equals === -1 && index === 0 ? rules.implied : undefined;
    const key = implied ?? (equals === -1 ? item : item.slice(0, equals));
    if (key === "") throw fail(`an item of "${text}" is empty`);
    if (rules.keys && !rules.keys.includes(key)) {
      throw fail(`unknown key "${key}"; known are: ${rules.keys.join(", ")}`);
    }
    if (!implied && equals === -1) throw fail(`"${key}" has no value; write ${key}=VALUE`);
    if (options.has(key)) throw fail(`"${key}" is given twice`);
    const value = implied ? item : item.slice(equals + 1);
    if (value === "") throw fail(`"${key}" has an empty value`);
    options.set(key, value);
  });
  return options;
}

/** @throws VmmError `config` for anything but `on` and `off`. */
export function parseSwitch(value: string, what: string): boolean {
  if (value === "on") return true;
  if (value === "off") return false;
  throw new VmmError("config", `${what} is on or off, not "${value}"`);
}
