/** The program of a VMM process, and of the keeper that guards a live update of one. */
import "./ahead.ts";
import { main } from "./process/vmm-process.ts";

const [first, ...rest] = process.argv.slice(2);
if (first === "keeper" && rest.length === 0) {
  // starts to guard as it is imported
  await import("@vmm/cpr/keeper");
} else {
  await main(process.argv.slice(2));
}
