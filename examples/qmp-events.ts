/**
 * Prints a VM's QMP events, one JSON object per line: `bun examples/qmp-events.ts NAME [COUNT]`.
 *
 * QMP is JSON over a unix socket. The VM greets, the client negotiates capabilities, and from then on answers and events
 * come line by line. Ends after COUNT events, or with the VM.
 */
import { pathsOf } from "@vmm/vmm/config/index.ts";

const [name, count = "Infinity"] = process.argv.slice(2);
if (name === undefined) {
  console.error("usage: bun examples/qmp-events.ts NAME [COUNT]");
  process.exit(2);
}

interface QmpMessage {
  readonly QMP?: object;
  readonly event?: string;
  readonly error?: { readonly desc: string };
}

let seen = 0;
let rest = "";
const decoder = new TextDecoder();

await Bun.connect({
  unix: pathsOf(name).qmp,
  socket: {
    data(socket, bytes) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() as string;
      for (const line of lines) {
        const message: QmpMessage = JSON.parse(line);
        if (message.QMP) {
          // Without this the VM answers nothing else. MIGRATION events come only where they are asked for.
          const capabilities = [{ capability: "events", state: true }];
          socket.write(`${JSON.stringify({ execute: "qmp_capabilities" })}\n`);
          socket.write(
            `${JSON.stringify({ execute: "migrate-set-capabilities", arguments: { capabilities } })}\n`,
          );
        }
        if (message.error) console.error(message.error.desc);
        if (!message.event) continue;
        console.log(line.trimEnd());
        if (++seen >= Number(count)) socket.end();
      }
    },
    close: () => process.exit(0),
  },
});
