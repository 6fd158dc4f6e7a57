import { controlCommand } from "../vm/control-command.ts";

export default controlCommand({
  name: "reset",
  qmp: "system_reset",
  summary: "Reset a VM's machine, as its reset button would. The guest is not asked.",
  example: "The guest boots anew",
  done: "was reset",
});
