/**
 * The program of a VMM process, and of the keeper that guards a live update of one. What is imported statically is small:
 * the VM is being made while the rest is loaded.
 */
import "./ahead.ts";

const words = process.argv.slice(2);
if (words.length === 1 && words[0] === "keeper") {
  // starts to guard as it is imported
  await import("@vmm/cpr/keeper");
} else {
  const { main } = await import("./process/vmm-process.ts");
  await main(words);
}
