/** Which end of a socket a chardev is: a guest that is restored is to be the same, whoever listens at the path by then. */
import type { JsonObject } from "@vmm/cpr";
import type { Chardev } from "./chardev.ts";

/** It listens for clients, or is one itself. */
export type ChardevRole = "server" | "client";

/** The roles of those that have one, by id: for the header of a saved state. */
export function rolesOf(chardevs: readonly Chardev[]): Record<string, ChardevRole> {
  return Object.fromEntries(chardevs.flatMap(({ id, role }) => (role ? [[id, role]] : [])));
}

/**
 * The role that a chardev is to have of a guest that comes in.
 *
 * @param machine What the saved state's header says of the machine.
 * @returns Undefined where it was no socket: it may have either.
 */
export function roleIn(machine: JsonObject, id: string): ChardevRole | undefined {
  const { chardevs: roles } = machine;
  // an older state does not tell: then it is nobody's client whom it may not know
  if (typeof roles !== "object" || roles === null || Array.isArray(roles)) return "server";
  if (!Object.hasOwn(roles, id)) return undefined;
  return (roles as JsonObject)[id] === "client" ? "client" : "server";
}
