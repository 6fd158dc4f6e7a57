/**
 * Serving exits before there are any: in a thread that has just begun, the first accesses to a device take several times as
 * long as later ones, and the guest stands still for each.
 */
import type { ExitTargets } from "../accelerator.ts";
import { ExitDispatch } from "./exit-dispatch.ts";
import { KVM_EXIT_IO, KVM_EXIT_IO_IN, KVM_EXIT_IO_OUT, KVM_EXIT_MMIO, RUN } from "./uapi/kvm.ts";

/** How often at most, and for how long (ms): the just-in-time compiler takes notice of what comes again. */
const REHEARSALS = 2000;
const REHEARSAL_MS = 40;
/** Where a run structure of our own has the data of a port access. */
const DATA = 4096;

/** A port that is written to, and one that is read, in turns. */
export interface RehearsedPorts {
  readonly write: number;
  readonly read: number;
}

/** @param targets Of no machine: what is asked of these nobody hears of. */
export function rehearseExits(targets: ExitTargets, { write, read }: RehearsedPorts): void {
  const run = new DataView(new ArrayBuffer(DATA + 8));
  const dispatch = new ExitDispatch(run, targets, 0);
  const deadline = performance.now() + REHEARSAL_MS;
  for (let i = 0; i === 0 || (i < REHEARSALS && performance.now() < deadline); i++) {
    describePortAccess(run, read, KVM_EXIT_IO_IN);
    dispatch.serve();
    describePortAccess(run, write, KVM_EXIT_IO_OUT);
    dispatch.serve();
    describeMemoryAccess(run, i % 2);
    dispatch.serve();
  }
}

/** Of one byte. */
function describePortAccess(run: DataView, port: number, direction: number): void {
  run.setUint32(RUN.EXIT_REASON, KVM_EXIT_IO, true);
  run.setUint8(RUN.IO_DIRECTION, direction);
  run.setUint8(RUN.IO_SIZE, 1);
  run.setUint16(RUN.IO_PORT, port, true);
  run.setUint32(RUN.IO_COUNT, 1, true);
  run.setUint32(RUN.IO_DATA_OFFSET, DATA, true);
}

/** Of four bytes, at an address that nobody claims. */
function describeMemoryAccess(run: DataView, isWrite: number): void {
  run.setUint32(RUN.EXIT_REASON, KVM_EXIT_MMIO, true);
  run.setBigUint64(RUN.MMIO_ADDRESS, 0n, true);
  run.setUint32(RUN.MMIO_LENGTH, 4, true);
  run.setUint8(RUN.MMIO_IS_WRITE, isWrite);
}
