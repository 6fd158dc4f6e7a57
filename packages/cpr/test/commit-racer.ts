/** One side of a race for commit words: fd 3 is the gate, the words follow. Prints 1 for each word won, 0 for each lost. */
import { writeAll } from "@vmm/libc";
import { CommitWord } from "../src/commit-word.ts";

const side = process.argv[2] as "taken-by-new" | "taken-back";
const count = Number(process.argv[3]);
const gate = CommitWord.open(3);
const words = Array.from({ length: count }, (_, i) => CommitWord.open(4 + i));
writeAll(1, Buffer.from("ready\n"));
while (gate.owner === "stopped");

const wins = new Array<string>(count);
for (let i = 0; i < count; i++) wins[i] = words[i]?.take(side) ? "1" : "0";
writeAll(1, Buffer.from(wins.join("")));
