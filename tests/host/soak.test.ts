/** Nothing grows over many updates. `bun run soak` does as many as one likes. */
import { describe, expect, test } from "bun:test";
import { runSoak } from "../../scripts/soak/run-soak.ts";
import { HAS_KVM } from "./lib/vm.ts";

const UPDATES = 100;
const LIMIT_MS = 300_000;

describe.skipIf(!HAS_KVM)("a soak (needs /dev/kvm)", () => {
  test(
    `of ${UPDATES} updates, by exec and by transfer in turn, leaves the guest well and nothing behind`,
    async () => {
      const { pauses, growth, failures } = await runSoak({
        updates: UPDATES,
        modes: ["cpr-exec", "cpr-transfer"],
        memory: "64M",
        cpus: 1,
        preflightEvery: 10,
        observe: false,
      });
      expect(failures).toEqual([]);
      expect(pauses).toHaveLength(UPDATES);
      expect(growth.filter(({ grown }) => grown)).toEqual([]);
    },
    LIMIT_MS,
  );
});
