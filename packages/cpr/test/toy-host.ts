/**
 * A very small machine: its guest is a counter in a shared memfd that a timer moves on. It is real where cpr is
 * concerned: its RAM, its state, its processes and its fds survive updates or do not.
 */
import {
  fstat,
  ftruncate,
  MAP_SHARED,
  MFD_CLOEXEC,
  memfdCreate,
  memoryView,
  mmap,
  O_CLOEXEC,
  O_CREAT,
  O_RDWR,
  open,
  PROT_READ,
  PROT_WRITE,
  struct,
  u32,
  u64,
} from "@vmm/libc";
import {
  type CprHost,
  FdTable,
  IdTable,
  loadRecord,
  type MigrationMode,
  type MigrationStatus,
  matchRecords,
  type RamBlock,
  type RecordSchema,
  type SavedRecord,
} from "../src/index.ts";

const RAM_SIZE = 1 << 20;

/** Words of RAM. */
const COUNT = 0;
/** The pid of who runs the guest. */
const RUNNER = 1;
/** How often the guest was run by two at a time. */
const CLASHES = 2;
const SECRET = 3;

const ToyState = struct("toy_state", { generation: u32, stops: u32, ticks: u64 });

export const TOY_SCHEMA = {
  kind: "toy",
  version: 1,
  compat: 1,
  layout: ToyState,
} satisfies RecordSchema;

export class ToyHost implements CprHost {
  readonly version = "toy 1";
  readonly environment = process.env;
  readonly fds: FdTable;
  readonly ids: IdTable;
  readonly command: readonly string[];
  readonly device = ToyState.of({ generation: 1 });
  readonly events: string[] = [];
  readonly ram: Int32Array;
  readonly #address: number;
  readonly #fd: number;
  readonly #ramPath: string | undefined;
  /** When the file was changed last that the RAM is in, as it was found. */
  #modifiedNs = 0n;
  shared = true;
  /** Names of the calls that are to throw. */
  readonly broken = new Set<string>();
  #state = "prelaunch";
  #before = "prelaunch";
  #timer: Timer | undefined;

  /** @param ramPath The file to have the RAM in; without one it is in a memfd. */
  constructor(command: readonly string[], fds = new FdTable(), ids = new IdTable(), ramPath?: string) {
    this.command = command;
    this.#ramPath = ramPath;
    this.fds = fds;
    this.ids = ids;
    let fd = fds.findFd("ram0");
    const fresh = fd === undefined;
    if (fd === undefined) {
      fd = ramPath ? open(ramPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600) : memfdCreate("toy-ram", MFD_CLOEXEC);
      this.#modifiedNs = fstat(fd).modifiedNs;
      ftruncate(fd, RAM_SIZE);
      fds.saveFd("ram0", 0, fd);
      ids.saveId("toy", 77);
    }
    this.#fd = fd;
    this.#address = mmap({ length: RAM_SIZE, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
    this.ram = new Int32Array(memoryView(this.#address, RAM_SIZE));
    // a file may hold what a guest has left
    if (fresh && this.secret === 0) Atomics.store(this.ram, SECRET, (Math.random() * 2 ** 31) | 0);
  }

  get count(): number {
    return Atomics.load(this.ram, COUNT);
  }

  get clashes(): number {
    return Atomics.load(this.ram, CLASHES);
  }

  get secret(): number {
    return Atomics.load(this.ram, SECRET);
  }

  run(): void {
    this.#state = "running";
    Atomics.store(this.ram, RUNNER, process.pid);
    const tick = () => {
      if (Atomics.load(this.ram, RUNNER) !== process.pid) Atomics.add(this.ram, CLASHES, 1);
      Atomics.add(this.ram, COUNT, 1);
      this.device.ticks += 1n;
    };
    tick();
    this.#timer = setInterval(tick, 1);
  }

  /** Stands still, in that run state. */
  pause(state: "paused" | "finish-migrate"): void {
    clearInterval(this.#timer);
    if (this.#state !== "prelaunch" || state === "finish-migrate") this.#state = state;
  }

  runState(): string {
    return this.#state;
  }

  isRunning(): boolean {
    return this.#state === "running";
  }

  ramBlocks(): RamBlock[] {
    const [fd, address] = [this.#fd, this.#address];
    const earlier = { modifiedNs: this.#modifiedNs, empty: () => void this.ram.fill(0) };
    const file = this.#ramPath === undefined ? {} : { path: this.#ramPath, earlier };
    return [{ name: "ram0", size: RAM_SIZE, shared: this.shared, origin: "backend", address, fd, ...file }];
  }

  describe(): { name: string } {
    return { name: "toy" };
  }

  configuration(): { ram: number } {
    return { ram: RAM_SIZE };
  }

  stop(_mode: MigrationMode, begins: () => void): void {
    begins();
    this.#before = this.#state;
    this.pause("finish-migrate");
    this.#fail("stop");
    this.device.stops += 1;
    this.events.push("STOP");
  }

  resume(): void {
    this.#fail("resume");
    this.#state = this.#before;
    this.events.push("RESUME");
    if (this.#before === "running") this.run();
  }

  detachIrqfds(): () => void {
    this.#fail("detachIrqfds");
    this.events.push("detach");
    return () => void this.events.push("attach");
  }

  saveState(): SavedRecord[] {
    this.#fail("saveState");
    return this.previewState();
  }

  previewState(): SavedRecord[] {
    const { kind, version, compat, layout } = TOY_SCHEMA;
    return [{ name: "toy0", kind, version, compat, fields: layout.fields, data: this.device.$bytes.slice() }];
  }

  load(records: readonly SavedRecord[]): void {
    for (const { saved } of matchRecords(records, [{ name: "toy0" }]).pairs) {
      loadRecord(saved, TOY_SCHEMA, this.device.$bytes);
    }
    this.device.generation += 1;
  }

  postmigrate(handedOver: boolean): void {
    this.#state = "postmigrate";
    if (handedOver) this.onHandedOver();
  }

  onHandedOver = (): void => {};

  /** Waits for a guest. */
  awaitGuest(): void {
    this.#state = "inmigrate";
  }

  /** Who hears of a status at once. */
  onStatus: (status: MigrationStatus) => void = () => {};

  statusChanged(status: MigrationStatus): void {
    this.events.push(status);
    this.onStatus(status);
  }

  log(line: string): void {
    this.events.push(line);
  }

  #fail(call: string): void {
    if (this.broken.has(call)) throw new Error(`${call} broke`);
  }
}
