import { controlCommand } from "../vm/control-command.ts";

export default controlCommand({
  name: "stop",
  qmp: "stop",
  summary: "Stop a VM's vCPUs. The VM stays; vmm cont lets them go on.",
  example: "The guest stands still",
  done: "is paused",
});
