import { UsageError } from "../cli-error.ts";
import { command } from "../command/command.ts";
import { EXIT } from "../exit-code.ts";
import { print, printJson } from "../print.ts";
import { JSON_OPTION } from "../vm/name-options.ts";

const ACTIONS = ["show", "diff"] as const;

/** Of `diff`, as of diff(1): trouble is 2, as everywhere. */
const DIFFERENT = 1;

export default command({
  name: "state",
  summary: "Show what is in a saved state, or how two of them differ.",
  description:
    "A saved state holds the devices and vCPUs of a VM, and perhaps its RAM: what a migration to a file: uri writes. " +
    "CPR state, the list of what is preserved, can be shown too. Either may be packed by gzip." +
    "\n\n" +
    "diff ends with status 0 where both say the same, 1 where they differ, 2 where one cannot be read.",
  args: [
    { name: "ACTION", summary: "show or diff", complete: ACTIONS },
    { name: "FILE", summary: "The state", complete: "file" },
    { name: "OTHER", summary: "Of diff: the state to compare it with", optional: true, complete: "file" },
  ],
  options: {
    offset: { value: "BYTES", summary: "Where in each file the state begins (default: 0)" },
    full: { summary: "Of show: every byte, and every field that is 0" },
    json: JSON_OPTION,
  },
  examples: [
    ["state show vm.state", "The header, then record by record"],
    ["state show vm.state --json", "The same for a program, and all of it"],
    ["state diff before.state after.state", "Which fields of which records differ"],
  ],
  async run({ options, args: [action, file = "", other] }) {
    const offset = offsetOf(options.offset);
    if (action === "show") {
      if (other !== undefined) throw new UsageError(`vmm state show takes one file, not also "${other}"`);
      return show(file, offset, options);
    }
    if (action === "diff") {
      if (other === undefined) throw new UsageError("vmm state diff takes two files");
      if (options.full) throw new UsageError("--full is for vmm state show");
      return diff(file, other, offset, options.json);
    }
    throw new UsageError(`vmm state ${action}: there are ${ACTIONS.join(" and ")}`);
  },
});

/** As in the uri `file:PATH,offset=BYTES`. */
function offsetOf(text: string | undefined): number {
  if (text === undefined) return 0;
  const offset = Number(text);
  if (/^(0x[0-9a-f]+|\d+)$/i.test(text) && Number.isSafeInteger(offset)) return offset;
  throw new UsageError(`--offset: "${text}" is not a number of bytes`);
}

async function show(
  path: string,
  offset: number,
  { full, json }: { full: boolean; json: boolean },
): Promise<number> {
  const [{ withStateFile }, { summarizeRam }, { stateJson }, { stateLines }, { cprStateLines }] =
    await Promise.all([
      import("../state/read-state-file.ts"),
      import("../state/ram.ts"),
      import("../state/state-json.ts"),
      import("../state/show/state.ts"),
      import("../state/show/cpr-state.ts"),
    ]);
  withStateFile(path, offset, (file) => {
    const { type, size } = file;
    if (type === "cpr-state") {
      if (json) printJson({ type, size, ...file.state });
      else print(cprStateLines(file.state, size).join("\n"));
    } else if (json) printJson(stateJson(file.state, size, summarizeRam(file)));
    else print(stateLines(file.state, size, full, summarizeRam(file)).join("\n"));
  });
  return EXIT.ok;
}

async function diff(before: string, after: string, offset: number, json: boolean): Promise<number> {
  const [{ withStateFile }, { diffRam }, { diffStates }, { diffJson }, { diffLines }] = await Promise.all([
    import("../state/read-state-file.ts"),
    import("../state/ram.ts"),
    import("../state/diff-states.ts"),
    import("../state/state-json.ts"),
    import("../state/show/diff.ts"),
  ]);
  return withStateFile(before, offset, (a) =>
    withStateFile(after, offset, (b) => {
      if (a.type !== "state" || b.type !== "state") {
        throw new UsageError(
          `${a.type === "state" ? after : before} is CPR state: diff compares saved states`,
        );
      }
      const found = diffStates(a.state, b.state, diffRam(a, b));
      if (json) printJson(diffJson(found));
      else if (!found.equal) print(diffLines(found, [before, after]).join("\n"));
      return found.equal ? EXIT.ok : DIFFERENT;
    }),
  );
}
