import { describe, expect, test } from "bun:test";
import type { CprHost } from "../host.ts";
import { Migration } from "./migration.ts";

/** A host that refuses: to be asked means that a migration begins. */
function makeMigration(settled: Promise<void>) {
  const log: string[] = [];
  const host = {
    runState: () => "inmigrate",
    log: (line: string) => void log.push(line),
  } as unknown as CprHost;
  return { migration: new Migration({ host, keeperCommand: [], settled }), log };
}

const BEGUN = "Guest is waiting for an incoming migration";

describe("a migration in a process that an update has made", () => {
  test("begins when nothing is left of that update", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { migration } = makeMigration(promise);
    let refused = "";
    const migrating = migration.migrate().catch((error) => {
      refused = error.message;
    });
    await Bun.sleep(1);
    expect(refused).toBe("");
    resolve();
    await migrating;
    expect(refused).toBe(BEGUN);
  });

  test("can be cancelled while it waits for that", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { migration } = makeMigration(promise);
    const migrating = migration.migrate();
    migration.cancel();
    resolve();
    await expect(migrating).rejects.toThrow("the migration was cancelled");
    expect(migration.status).toBe("none");
  });

  test("is refused where the VM ends while it waits", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { migration } = makeMigration(promise);
    const migrating = migration.migrate();
    const closing = migration.close();
    resolve();
    await expect(migrating).rejects.toThrow("The VM is about to end");
    await closing;
  });

  test("begins also where something could not be ended, and the log says so", async () => {
    const { migration, log } = makeMigration(Promise.reject(new Error("a child is stuck")));
    await expect(migration.migrate()).rejects.toThrow(BEGUN);
    expect(log).toEqual(["the update before: a child is stuck"]);
  });
});
