/** Commands that hand over fds. */
import { close } from "@vmm/libc";
import * as z from "zod/mini";
import { command, type QmpCommand } from "../command.ts";
import { QmpError } from "../qmp-error.ts";

const args = z.strictObject({ fdname: z.string() });

export const DESCRIPTOR_COMMANDS: readonly QmpCommand[] = [
  command("getfd", {
    args,
    run({ fdname }, context) {
      const fd = context.takeFd();
      if (fd === undefined) throw new QmpError("No file descriptor supplied via SCM_RIGHTS");
      try {
        // digits are fds themselves, where a name may stand
        if (/^\d/.test(fdname)) {
          throw new QmpError("Parameter 'fdname' expects a name not starting with a digit");
        }
        context.fds.put(fdname, fd);
      } catch (error) {
        close(fd);
        throw error;
      }
    },
  }),
  command("closefd", { args, run: ({ fdname }, { fds }) => close(fds.take(fdname)) }),
];
