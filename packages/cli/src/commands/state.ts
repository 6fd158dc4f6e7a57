import { UsageError } from "../cli-error.ts";
import { command } from "../command/command.ts";
import { EXIT } from "../exit-code.ts";
import { print, printJson } from "../print.ts";
import { JSON_OPTION } from "../vm/name-options.ts";

const ACTIONS = ["show", "diff"] as const;

export default command({
  name: "state",
  summary: "Show a saved state, or what differs between two.",
  description:
    "show FILE prints every record of the state with its fields; diff FILE FILE those that differ, and ends with status 1 " +
    "where any do.",
  args: [
    { name: "ACTION", summary: "show or diff", complete: ACTIONS },
    { name: "FILE", summary: "A saved state; two for diff", variadic: true, complete: "file" },
  ],
  options: { json: JSON_OPTION },
  examples: [
    ["state show web.state", "What is in a state"],
    ["state diff before.state after.state", "What has changed"],
  ],
  async run({ args: [action, ...files], options }) {
    const wanted = action === "show" ? 1 : action === "diff" ? 2 : 0;
    if (wanted === 0) throw new UsageError(`vmm state has no "${action}", only ${ACTIONS.join(" and ")}`);
    if (files.length !== wanted) {
      throw new UsageError(
        `vmm state ${action} takes ${wanted === 1 ? "one file" : "two files"}, not ${files.length}`,
      );
    }
    return action === "show"
      ? show(files[0] as string, options.json)
      : diff(files as [string, string], options.json);
  },
});

async function show(path: string, json: boolean): Promise<number> {
  const { readState } = await import("../state/read-state.ts");
  const { stateJson, stateLines } = await import("../state/show.ts");
  const state = readState(path);
  if (json) printJson(stateJson(state));
  else print(...stateLines(state));
  return EXIT.ok;
}

async function diff([a, b]: [string, string], json: boolean): Promise<number> {
  const { readState } = await import("../state/read-state.ts");
  const { differenceLines, stateDifferences } = await import("../state/diff.ts");
  const differences = stateDifferences(readState(a), readState(b));
  if (json) printJson(differences.map(({ shown: _, ...difference }) => difference));
  else if (differences.length === 0) print("The two states are the same.");
  else print(...differenceLines(differences));
  return differences.length === 0 ? EXIT.ok : EXIT.failed;
}
