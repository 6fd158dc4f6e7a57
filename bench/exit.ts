/** What a port exit costs that the UART model serves, next to a bare KVM_RUN loop over the same guest code. */
import { FdTable } from "@vmm/cpr";
import {
  ftruncate,
  MAP_SHARED,
  MFD_CLOEXEC,
  memfdCreate,
  memoryView,
  mmap,
  PROT_READ,
  PROT_WRITE,
} from "@vmm/libc";
import { KvmVm } from "@vmm/vmm/accel/kvm/index.ts";
import { type CharRing, openChardev } from "@vmm/vmm/chardev/index.ts";
import type { VmConfig } from "@vmm/vmm/config/vm-config.ts";
import { ControlBlock } from "@vmm/vmm/machine/control-block.ts";
import { DeviceHost } from "@vmm/vmm/machine/device-host.ts";
import { Reactor } from "@vmm/vmm/reactor/index.ts";
import { ACCESSES, guestCode, type Measured, type ThreadResult, type ThreadStart } from "./exit/protocol.ts";
import { runBenchmark } from "./lib/options.ts";
import { goFirst, priorityNote } from "./lib/priority.ts";
import { median, percentile } from "./lib/statistics.ts";
import { formatTable } from "./lib/table.ts";

const RAM_SIZE = 2 << 20;
/** What a served exit may cost, as a multiple of a bare one. */
const GOAL = 2;

const CONFIG: VmConfig = {
  name: "bench-exit",
  folder: "/nonexistent",
  memory: { id: "ram0", backend: "memfd", size: RAM_SIZE, share: true, prealloc: false },
  cpus: 1,
  accel: ["kvm"],
  machine: { auxRamShare: true },
  boot: { guest: "heartbeat" },
  chardevs: [{ id: "serial0", backend: "null" }],
  devices: [],
  plugins: [],
};

/** A VM with the guest's code in its RAM. */
function makeVm(code: Uint8Array, address: number): KvmVm {
  const vm = new KvmVm(1);
  const fd = memfdCreate("bench-exit", MFD_CLOEXEC);
  ftruncate(fd, RAM_SIZE);
  const ram = mmap({ length: RAM_SIZE, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
  new Uint8Array(memoryView(ram, RAM_SIZE)).set(code, address);
  vm.setMemorySlot({ slot: 0, backend: "ram0", gpa: 0, size: RAM_SIZE, offset: 0, address: ram });
  return vm;
}

/** The main thread of a VM without its control: it takes what the guest prints. */
function startHost(vm: KvmVm): DeviceHost & { control: ControlBlock } {
  const control = new ControlBlock();
  const host = new DeviceHost({
    role: "main",
    config: CONFIG,
    control,
    setIrqLevel: (gsi, level) => vm.setIrqLevel(gsi, level),
    requested: () => {},
  });
  for (const device of host.devices) device.reset?.();
  const [chardev] = CONFIG.chardevs;
  if (!chardev) throw new Error("no chardev");
  const { folder } = CONFIG;
  const context = { reactor: new Reactor(), fds: new FdTable(), lock: host.lock, folder };
  const backend = openChardev(chardev, host.rings.get(chardev.id) as CharRing, context);
  backend.start();
  void control.doorbell.listen(() => backend.doorbell());
  return Object.assign(host, { control });
}

async function measure(exits: number, rounds: number): Promise<ThreadResult> {
  const { address, code, entries } = guestCode(exits);
  const vm = makeVm(code, address);
  const host = startHost(vm);
  vm.reset({ eip: entries["LSR read"] });
  const [vcpu] = vm.vcpus;
  if (!vcpu) throw new Error("no vCPU");
  const start: ThreadStart = {
    config: CONFIG,
    handle: vcpu.handle,
    arena: host.arena.buffer,
    control: host.control.buffer,
    vm: vm.fd,
    entries,
    exits,
    rounds,
  };
  const { promise, resolve, reject } = Promise.withResolvers<ThreadResult>();
  const worker = new Worker(new URL("./exit/thread.ts", import.meta.url).href);
  worker.onmessage = ({ data }: MessageEvent<ThreadResult>) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage(start);
  return promise;
}

/** Ratios are taken round by round: both halves of a round met the same host. */
function summary({ bare, served }: Measured) {
  const ratios = served.map((ns, i) => ns / (bare[i] as number));
  return {
    bareNs: median(bare),
    servedNs: median(served),
    ratio: median(ratios),
    ratioP90: percentile(ratios, 90),
  };
}

const about = {
  command: "bench:exit",
  about: "What a port exit costs: served by the UART model, and by a bare KVM_RUN loop.",
  specs: {
    exits: { kind: "number", help: "exits per round", default: 20_000 },
    rounds: { kind: "number", help: "rounds of each kind", default: 15 },
    first: { kind: "flag", help: "before the rest of the host's work, at nice -20" },
    json: { kind: "flag", help: "print JSON" },
  },
} as const;

await runBenchmark(about, async ({ exits, rounds, json, first }) => {
  const isFirst = first && goFirst();
  const measured = await measure(exits, rounds);
  const results = ACCESSES.map((access) => ({ access, ...summary(measured[access]) }));
  const worst = Math.max(...results.map(({ ratio }) => ratio));
  if (json) return { exits, rounds, results, goal: GOAL, reached: worst <= GOAL, first: isFirst };
  return formatTable({
    title: `Cost of a port exit (median of ${rounds} rounds of ${exits} exits each)`,
    columns: ["access", "bare ns", "served ns", "ratio", "ratio p90"],
    rows: results.map((r) => [r.access, r.bareNs, r.servedNs, r.ratio, r.ratioP90]),
    notes: [
      "bare: KVM_RUN alone, nobody serves the exit. served: KvmRunner, bus, device lock and UART, on the vCPU's thread.",
      priorityNote(isFirst),
      `Goal: a ratio of at most ${GOAL}: ${worst <= GOAL ? "reached" : "missed"}.`,
    ],
  });
});
// the doorbell's listener and the reactor would wait for ever
process.exit();
