/** A device that tells at a port whether it has resumed, and takes its time for that; as a plug-in. */
import type { RecordSchema } from "@vmm/cpr";
import { struct, u32, usleep } from "@vmm/libc";
import { registerDriver } from "../../src/device/registry.ts";

export const GATE_PORT = 0x560;
const RESUME_US = 5000;

export const GateState = struct("gate", {
  open: u32,
  /** Accesses in all, and those that came while it was not open. */
  accesses: u32,
  early: u32,
});

const SCHEMA = { kind: "gate", version: 1, compat: 1, layout: GateState } satisfies RecordSchema;

registerDriver({
  name: "gate",
  create({ arena, pio }, { id }) {
    const state = arena.record(id, SCHEMA);
    const target = {
      read() {
        state.accesses++;
        if (state.open === 0) state.early++;
        return state.open;
      },
      write() {},
    };
    pio.claim({ name: id, base: GATE_PORT, size: 1, target });
    return {
      id,
      pause() {
        state.open = 0;
      },
      resume() {
        usleep(RESUME_US);
        state.open = 1;
      },
    };
  },
});
