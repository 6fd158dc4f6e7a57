import { absolutePath, formatSize } from "@vmm/vmm/config/index.ts";
import { UsageError } from "../cli-error.ts";
import { command } from "../command/command.ts";
import { EXIT } from "../exit-code.ts";
import { print, printJson } from "../print.ts";
import { saveVm } from "../save/save-vm.ts";
import { awaitEnd } from "../vm/await-end.ts";
import { selectVm } from "../vm/find-vms.ts";
import { JSON_OPTION } from "../vm/name-options.ts";

/** A VM that quits has ended in some ms; one with much RAM takes longer to free it. */
const END_TIMEOUT_MS = 60_000;

export default command({
  name: "save",
  summary: "Save a VM to a file and end it; vmm restore goes on with it, also after the host was booted.",
  description:
    "The file has all of the guest: its devices, its processors and its RAM, but for pages of zeros. It appears under its " +
    "name when it is whole. If saving fails the guest runs on.",
  args: [
    { name: "NAME", summary: "The VM", complete: "vm" },
    { name: "FILE", summary: "The file", complete: "file" },
  ],
  options: {
    "in-place": {
      summary:
        "Leave RAM that is in a shared file of its own (backend=file) there; then it can be restored once",
    },
    keep: { summary: "Do not end the VM: leave it stopped; vmm cont lets it go on" },
    cont: { summary: "Do not end the VM: let it go on" },
    json: JSON_OPTION,
  },
  examples: [
    ["save web web.vm", "Save the VM; `vmm restore web.vm` goes on with it"],
    ["save --cont web web.vm", "A copy of a VM that runs on"],
  ],
  async run({ args, options }) {
    if (options.keep && options.cont) throw new UsageError("--keep and --cont exclude each other");
    if (options["in-place"] && options.cont)
      throw new UsageError(
        "--in-place leaves RAM in a file that the guest would go on to change: not with --cont",
      );
    const vm = selectVm(args[0]);
    const path = absolutePath(args[1] as string, process.cwd());
    const then = options.keep ? "stay" : options.cont ? "cont" : "quit";
    const report = await saveVm(vm, { path, inPlace: options["in-place"], then });
    if (then === "quit") await awaitEnd(vm, END_TIMEOUT_MS);
    if (options.json) printJson(report);
    else {
      const size = formatSize(Math.ceil(report.ram_bytes / 1024) * 1024);
      print(`VM "${vm.name}" was saved to ${path} in ${report.ms} ms, with ${size} of RAM.`);
    }
    return EXIT.ok;
  },
});
