/** A machine with a guest that goes to a device all the time, for cases of its pausing and resuming; see `kvm-case.ts`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FdTable } from "@vmm/cpr";
import { blockKickSignal } from "../src/accel/kvm/index.ts";
import { Assembler, al, edx } from "../src/boot/asm-x86.ts";
import type { VmConfig } from "../src/config/vm-config.ts";
import { Machine } from "../src/machine/machine.ts";
import { importPlugins } from "../src/machine/plugins.ts";
import { holdEndSignals } from "../src/process/end-signals.ts";
import { elfFile, LOAD_ADDRESS } from "./guest-files.ts";
import { GATE_PORT, GateState } from "./programs/gate-device.ts";

const ROUNDS = 20;
const LIMIT_MS = 10_000;

/** Reads the device's port for ever. */
function guest(): Uint8Array {
  const a = new Assembler(LOAD_ADDRESS);
  a.mov(edx, GATE_PORT);
  a.label("round");
  a.in(al);
  a.jump("round");
  return a.assemble();
}

const config = (folder: string, kernel: string): VmConfig => ({
  name: "gate",
  folder,
  memory: { id: "ram0", backend: "memfd", size: 16 << 20, share: true, prealloc: false },
  cpus: 1,
  accel: ["kvm"],
  machine: { auxRamShare: true },
  boot: { kernel, cmdline: "" },
  chardevs: [],
  devices: [{ driver: "gate", id: "gate0" }],
  plugins: [join(import.meta.dir, "programs/gate-device.ts")],
});

function newMachine(folder: string): Machine {
  const kernel = join(folder, "kernel");
  writeFileSync(kernel, elfFile({ bits: 32, code: guest() }));
  return new Machine(config(folder, kernel), new FdTable());
}

/** The device's state, as the machine's arena has it. */
function stateOf({ host }: Machine) {
  const record = host.arena.records().find(({ name }) => name === "gate0");
  if (!record) throw new Error("the machine has no gate");
  return GateState.at(host.arena.buffer, record.offset);
}

/** Pauses and resumes it again and again: what the guest saw of the device meanwhile. */
export async function deviceAfterPause() {
  const folder = mkdtempSync(join(tmpdir(), "vmm-resume-"));
  try {
    blockKickSignal();
    holdEndSignals();
    await importPlugins(config(folder, "").plugins);
    const machine = newMachine(folder);
    machine.powerOn();
    machine.startDevices();
    machine.cont();
    const state = stateOf(machine);
    let served = 0;
    for (let round = 0; round < ROUNDS; round++) {
      machine.pauseExecution();
      const before = state.accesses;
      machine.resumeExecution();
      const deadline = performance.now() + LIMIT_MS;
      while (state.accesses === before && performance.now() < deadline) await Bun.sleep(1);
      if (state.accesses !== before) served++;
    }
    machine.pauseExecution();
    return { rounds: ROUNDS, served, early: state.early };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
