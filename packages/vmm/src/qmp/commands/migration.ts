/** Commands of migration and live update. */
import { MIGRATION_CAPABILITIES, MIGRATION_MODES, needsSharedRam } from "@vmm/cpr";
import * as z from "zod/mini";
import { uint64 } from "../arguments.ts";
import { type CommandContext, command, type QmpCommand } from "../command.ts";
import { QmpError } from "../qmp-error.ts";

/** `MigrationAddress` of qapi/migration.json, with the transports that there are. */
const address = z.discriminatedUnion("transport", [
  z.strictObject({ transport: z.literal("file"), filename: z.string(), offset: uint64 }),
  z.strictObject({ transport: z.literal("socket"), type: z.enum(["unix"]), path: z.string() }),
]);

const channel = z.strictObject({ "channel-type": z.enum(["main", "cpr"]), addr: address });

const source = {
  uri: z.optional(z.string()),
  channels: z.optional(z.array(channel)),
};

type Channel = z.infer<typeof channel>;

interface Source {
  readonly uri?: string | undefined;
  readonly channels?: readonly Channel[] | undefined;
}

/** @param optional Whether there may be neither: in a mode on one host the main channel is a memfd then. */
function checkSource({ uri, channels = [] }: Source, optional: boolean) {
  const both = uri !== undefined && channels.length > 0;
  const neither = uri === undefined && channels.length === 0;
  if (both || (neither && !optional)) throw new QmpError("need either 'uri' or 'channels' argument");
  return { ...(uri !== undefined && { uri }), ...(channels.length > 0 && { channels }) };
}

const migrateArgs = z.strictObject({
  ...source,
  detach: z.optional(z.boolean()),
  resume: z.optional(z.boolean()),
  "x-preflight": z.optional(z.boolean()),
});

function migrate(args: z.infer<typeof migrateArgs>, { host: { migration } }: CommandContext): Promise<void> {
  if (args.resume) throw new QmpError("Cannot resume if there is no paused migration");
  const preflight = args["x-preflight"];
  return migration.migrate({
    ...checkSource(args, needsSharedRam(migration.parameters.mode)),
    ...(preflight !== undefined && { preflight }),
  });
}

const incomingArgs = z.strictObject({ ...source, "exit-on-error": z.optional(z.boolean()) });

function migrateIncoming(args: z.infer<typeof incomingArgs>, { host }: CommandContext) {
  if (!host.incoming) throw new QmpError("'-incoming' was not specified on the command line");
  return host.incoming({ ...checkSource(args, false), exitOnError: args["exit-on-error"] ?? true });
}

/** As QEMU: nothing but `{}` before the first migration, unless something blocks one. */
function queryMigrate(_args: unknown, { host }: CommandContext) {
  const { status, ...rest } = host.migration.info();
  return status === "none" ? rest : { status, ...rest };
}

const capabilityList = z.array(
  z.strictObject({ capability: z.enum(MIGRATION_CAPABILITIES), state: z.boolean() }),
);

const parameters = z.strictObject({
  mode: z.optional(z.enum(MIGRATION_MODES)),
  "cpr-exec-command": z.optional(z.array(z.string())),
  "x-cpr-commit-timeout": z.optional(uint64),
  "x-cpr-preflight-timeout": z.optional(uint64),
});

export const MIGRATION_COMMANDS: readonly QmpCommand[] = [
  command("query-migrate", { run: queryMigrate }),
  command("query-migrate-parameters", { run: (_args, { host }) => host.migration.parameters }),
  command("migrate-set-parameters", {
    args: parameters,
    run: (args, { host }) => host.migration.setParameters(args),
  }),
  command("query-migrate-capabilities", {
    run: (_args, { host }) =>
      Object.entries(host.migration.capabilities).map(([capability, state]) => ({ state, capability })),
  }),
  command("migrate-set-capabilities", {
    args: z.strictObject({ capabilities: capabilityList }),
    run: ({ capabilities }, { host }) => host.migration.setCapabilities(capabilities),
  }),
  command("migrate", { args: migrateArgs, concurrent: true, run: migrate }),
  command("migrate-incoming", { args: incomingArgs, concurrent: true, run: migrateIncoming }),
  command("migrate-continue", {
    args: z.strictObject({ state: z.string() }),
    run: ({ state }, { host }) => host.migration.continue(state),
  }),
  command("migrate_cancel", { run: (_args, { host }) => host.migration.cancel() }),
  command("x-cpr-preflight", {
    concurrent: true,
    run: (_args, { host }) => host.migration.preflight(),
  }),
];
