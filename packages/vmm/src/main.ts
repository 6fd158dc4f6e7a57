/** The program of a VMM process; see `process/vmm-process.ts`. */
import { main } from "./process/vmm-process.ts";

await main(process.argv.slice(2));
