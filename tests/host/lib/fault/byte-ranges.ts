/** Bytes of a state, as a command line names them. */
import { UsageError } from "../../../../bench/lib/options.ts";

const RANGE = /^(\d{1,9})-(\d{1,9})(?:\/([1-9]\d{0,8}))?$/;
const ONE = /^-?\d{1,9}$/;
/** More than a state has that could be tried. */
const LIMIT = 1_000_000;

/**
 * Numbers and ranges with commas between them: `7,-1,40-59,100-999/50`. Negative ones count from the end; both ends of a
 * range belong to it.
 *
 * @returns One number each.
 * @throws UsageError
 */
export function byteRanges(text: string): string[] {
  const numbers = text === "" ? [] : text.split(",").flatMap(numbersOf);
  if (numbers.length > LIMIT) throw new UsageError(`--at ${text}: more than ${LIMIT} bytes`);
  return numbers;
}

function numbersOf(word: string): string[] {
  if (ONE.test(word)) return [word];
  const [, from, to, every = "1"] = RANGE.exec(word) ?? [];
  const [first, last, step] = [Number(from), Number(to), Number(every)];
  if (!(last >= first))
    throw new UsageError(`--at ${word}: not a byte, nor a range such as 40-59 or 100-999/50`);
  const count = Math.floor((last - first) / step) + 1;
  if (count > LIMIT) throw new UsageError(`--at ${word}: more than ${LIMIT} bytes`);
  return Array.from({ length: count }, (_, i) => String(first + i * step));
}
