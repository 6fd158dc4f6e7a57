import { controlCommand } from "../vm/control-command.ts";

export default controlCommand({
  name: "cont",
  qmp: "cont",
  summary: "Let a VM's stopped vCPUs go on.",
  example: "The guest runs on from where it stood",
  done: (runState) => (runState === "inmigrate" ? "runs as soon as its guest is there" : "runs"),
});
