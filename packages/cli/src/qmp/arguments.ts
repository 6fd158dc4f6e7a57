/** Arguments of a QMP command as they are typed: JSON, or key=value words. */
import { UsageError } from "../cli-error.ts";

export type QmpArguments = Record<string, unknown>;

/** A value that reads as JSON is JSON; anything else is text. So `x=1` is a number, and `x="1"` text. */
function plainValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function setPath(target: QmpArguments, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path as [string, ...string[]];
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const inner = Object.hasOwn(target, key) ? target[key] : {};
  if (typeof inner !== "object" || inner === null)
    throw new UsageError(`${path.join(".")}: "${key}" has a value already`);
  target[key] = inner;
  setPath(inner as QmpArguments, rest, value);
}

/**
 * @param words One word of JSON, an object; or words such as `mode=cpr-exec` and `addr.path=/x`.
 * @throws UsageError
 */
export function parseQmpArguments(words: readonly string[]): QmpArguments {
  const [first] = words;
  if (words.length === 1 && first?.trimStart().startsWith("{")) return parseObject(first);
  const result: QmpArguments = {};
  for (const word of words) {
    const equals = word.indexOf("=");
    if (equals < 1)
      throw new UsageError(`"${word}" is neither an argument as key=value nor an object in JSON`);
    setPath(result, word.slice(0, equals).split("."), plainValue(word.slice(equals + 1)));
  }
  return result;
}

function parseObject(text: string): QmpArguments {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`the arguments are not JSON: ${(error as Error).message}`);
  }
}
