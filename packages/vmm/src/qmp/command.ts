/** What a QMP command is. */
import * as z from "zod/mini";
import { checkArguments } from "./arguments.ts";
import type { JsonObject } from "./json/index.ts";
import type { NamedFds } from "./named-fds.ts";
import type { QmpHost } from "./qmp-host.ts";

/** What a command may use beside its arguments. */
export interface CommandContext {
  readonly host: QmpHost;
  readonly fds: NamedFds;
  /** Takes the first fd that came with the client's last message; the others are closed. */
  takeFd(): number | undefined;
}

export interface QmpCommand {
  readonly name: string;
  /** Other clients' commands need not wait for it: it may take long. */
  readonly concurrent: boolean;
  /** @throws QmpError where the arguments do not fit, and whatever the command throws. */
  run(args: JsonObject, context: CommandContext): unknown;
}

interface CommandSpec<A> {
  /** The arguments; none where left out. */
  readonly args?: z.ZodMiniType<A>;
  readonly concurrent?: boolean;
  /** Its result is the command's: `undefined` stands for the empty object. */
  run(args: A, context: CommandContext): unknown;
}

const noArguments = z.strictObject({});

export function command<A = Record<string, never>>(name: string, spec: CommandSpec<A>): QmpCommand {
  const schema = (spec.args ?? noArguments) as z.ZodMiniType<A>;
  return {
    name,
    concurrent: spec.concurrent ?? false,
    run: (args, context) => spec.run(checkArguments(schema, args), context),
  };
}
