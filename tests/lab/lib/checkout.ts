import { resolve } from "node:path";

/** The root of this checkout. */
export const CHECKOUT = resolve(import.meta.dirname, "../../..");
