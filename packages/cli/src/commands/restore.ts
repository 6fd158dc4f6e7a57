import {
  absolutePath,
  checkVmName,
  claimFolder,
  makeRuntimeRoot,
  pathsOf,
  writeConfig,
} from "@vmm/vmm/config/index.ts";
import { resolveImage } from "@vmm/vmm/image/index.ts";
import { UsageError } from "../cli-error.ts";
import { command } from "../command/command.ts";
import { EXIT } from "../exit-code.ts";
import { print, printError, printJson } from "../print.ts";
import { pluginsOf, savedConfig } from "../save/saved-config.ts";
import { launch } from "../start/launch.ts";
import { JSON_OPTION } from "../vm/name-options.ts";

export default command({
  name: "restore",
  summary: "Go on with a VM that was saved. Returns when its guest runs.",
  description:
    "The VM is what it was when it was saved. The file stays, and can be restored again, unless RAM was left in place. It " +
    "says which files the VM uses, so restore only one that you trust; vmm state show tells what is in it. RAM in a named " +
    "file is one VM's alone: to have the guest once more beside one that uses that file, run vmm start with the same " +
    "options, another path= and --incoming file:FILE.",
  args: [{ name: "FILE", summary: "A file that vmm save has written", complete: "file" }],
  options: {
    name: { value: "NAME", summary: "The VM's name (default: the one that it had)" },
    plugin: {
      value: "MODULE",
      summary:
        "Import a module that brings device drivers: those that the VM had are not imported by themselves",
      repeat: true,
      complete: "file",
    },
    foreground: { summary: "Become the VM's process, for systemd; Ctrl-C ends it" },
    json: JSON_OPTION,
  },
  examples: [
    ["restore web.vm", "Go on with the VM"],
    ["restore web.vm --plugin ./ib700.ts", "Go on with one that has a device of a plug-in"],
    ["restore web.vm --name web-2", "The same guest once more, under another name"],
  ],
  async run({ args, options }) {
    const path = absolutePath(args[0] as string, process.cwd());
    const saved = await savedConfig(path);
    const name = checkVmName(options.name ?? saved.name);
    const paths = pathsOf(name);
    const config = { ...saved, name, folder: paths.folder, plugins: pluginsOf(saved, options.plugin) };
    if (config.chardevs.some(({ backend }) => backend === "stdio") && !options.foreground)
      throw new UsageError("its serial port is on stdio: that needs --foreground");
    makeRuntimeRoot();
    const claim = claimFolder(paths, name);
    let argv: string[];
    try {
      writeConfig(paths.config, config);
      const image = await resolveImage({ source: config.plugins.length > 0 });
      argv = [...image.argv, "--config", paths.config, "--incoming", `file:${path}`];
    } catch (error) {
      claim.release();
      throw error;
    }
    if (options.foreground) (await import("../start/foreground.ts")).becomeVm(argv, claim);
    const { pid, warnings } = launch(argv, claim);
    if (options.json) printJson({ name, pid, folder: paths.folder, ...(warnings && { warnings }) });
    else {
      for (const warning of warnings ?? []) printError(`warning: ${warning}`);
      print(`VM "${name}" goes on: pid ${pid}.`);
    }
    return EXIT.ok;
  },
});
