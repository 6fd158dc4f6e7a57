/** The guest's clocks while it is moved, for `vcpu-state.test.ts`. */
import type { SavedRecord } from "@vmm/cpr";
import { ioctl } from "@vmm/libc";
import { KvmVm } from "../src/accel/kvm/index.ts";
import { msrBlock, msrIndices, writeMsrs } from "../src/accel/kvm/msrs.ts";
import * as kvm from "../src/accel/kvm/uapi/kvm.ts";
import { at, eax, edx } from "../src/boot/asm-x86.ts";
import { finish, finishAndGoOn, Guest } from "./kvm-guest.ts";
import { byName, moved, SAME_BOOT, type State } from "./kvm-moved.ts";

const RESULT = 0x2000;

/** Whether the guest's kvmclock says that it was paused: without such a clock, with one, and after it was told. */
export function toldOfPause() {
  const MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01;
  const CLOCK = 0x5000;
  const STOPPED = 2; // PVCLOCK_GUEST_STOPPED
  const guest = new Guest((a) => {
    for (let i = 0; i < 4; i++) finishAndGoOn(a);
  });
  const runs = () => [guest.run(), (guest.ram.word(CLOCK + 28) >>> 8) & STOPPED];
  guest.run();
  guest.vm.tellOfPause();
  const without = runs();
  const clock = msrBlock([MSR_KVM_SYSTEM_TIME_NEW]);
  clock.setBigUint64(16, BigInt(CLOCK | 1), true);
  const refused = writeMsrs(guest.vm.vcpus[0]?.handle.fd as number, new Uint8Array(clock.buffer));
  const before = runs();
  guest.vm.tellOfPause();
  return { without, refused, before, told: runs() };
}

/** The TSC before and after, and what the guest itself reads. */
export function clocks() {
  const guest = new Guest((a) => {
    for (const offset of [0, 8]) {
      a.rdtsc();
      a.mov(at(RESULT + offset), eax);
      a.mov(at(RESULT + offset + 4), edx);
      finishAndGoOn(a);
    }
  });
  guest.run();
  const next = moved(guest);
  const before = performance.now();
  next.run();
  const ms = performance.now() - before;
  const read = (offset: number) =>
    BigInt(next.ram.word(RESULT + offset)) + (BigInt(next.ram.word(RESULT + offset + 4)) << 32n);
  return { first: Number(read(0)), second: Number(read(8)), khz: khzOf(next.vm), ms };
}

const tscOf = (records: readonly SavedRecord[]) => {
  const state = Buffer.from(byName(records).get("cpu0/kvm-tsc")?.data ?? []);
  return { offset: state.readBigInt64LE(0), value: state.readBigUInt64LE(8), khz: state.readUInt32LE(16) };
};

/** Loaded an hour later, on a host that was booted again: the saved offset means nothing. */
export function tscOnAnotherBoot() {
  const guest = new Guest(finish);
  guest.run();
  const records = guest.vm.save();
  const next = new KvmVm(1);
  next.restore(byName(records), { elapsedNs: 3_600_000_000_000, sameBoot: false });
  const [saved, now] = [tscOf(records), tscOf(next.save())];
  return { hours: Number(now.value - saved.value) / now.khz / 3_600_000 };
}

/** A guest whose TSC counts at another rate than this host's, through two moves and a reset: what each state says of it. */
export function tscOfAnotherRate() {
  const source = new KvmVm(1);
  const records = source.save();
  const own = tscOf(records).khz;
  const next = new KvmVm(1);
  // so near the host's that every KVM takes it, with hardware to scale it or without
  const changed = byName(records);
  nextTscKhz(changed);
  next.restore(changed, SAME_BOOT);
  const once = next.save();
  const last = new KvmVm(1);
  last.restore(byName(once), SAME_BOOT);
  last.reset({ eip: 0 });
  return { own, moved: tscOf(once).khz, reset: tscOf(last.save()).khz, real: khzOf(last) };
}

/** Which records a VM saves as they were loaded, that had loaded others before: of a processor that differs in one way. */
export function lastOfTwo() {
  const records = new KvmVm(1).save();
  const kept = (change: (state: State) => void, name: string) => {
    const changed = byName(records);
    change(changed);
    const vm = new KvmVm(1);
    return [byName(records), changed, byName(records)].map((state) => {
      // twice: what it is configured for already is not looked at again
      for (const _ of [1, 2]) vm.restore(state, SAME_BOOT);
      const [saved, loaded] = [byName(vm.save()).get(name), state.get(name)];
      return saved?.data.length === loaded?.data.length && configured(saved) === configured(loaded);
    });
  };
  const dropMsr = setRecord("cpu0/kvm-msrs", (data) => {
    data.writeUInt32LE(data.readUInt32LE(0) - 1, 0);
    return data.subarray(0, -MSR_ENTRY);
  });
  const swapMsrs = setRecord("cpu0/kvm-msrs", (data) => {
    const [first, second] = [
      data.subarray(8, 8 + MSR_ENTRY),
      data.subarray(8 + MSR_ENTRY, 8 + 2 * MSR_ENTRY),
    ];
    return Buffer.concat([data.subarray(0, 8), second, first, data.subarray(8 + 2 * MSR_ENTRY)]);
  });
  const rename = setRecord("cpu0/kvm-cpuid", (data) => {
    // the first registers of the name, which KVM takes as they are
    data.writeUInt32LE(0x206d6d76, data.indexOf(BRAND) + 12);
    return data;
  });
  return {
    khz: kept(nextTscKhz, "cpu0/kvm-tsc"),
    fewerMsrs: kept(dropMsr, "cpu0/kvm-msrs"),
    otherOrder: kept(swapMsrs, "cpu0/kvm-msrs"),
    cpuid: kept(rename, "cpu0/kvm-cpuid"),
  };
}

const MSR_ENTRY = 16;
/** The leaf of CPUID with the processor's name. */
const BRAND = Buffer.of(0x02, 0x00, 0x00, 0x80);

/** What of a record tells of which processor it is, as text. */
function configured(record: SavedRecord | undefined): string {
  if (!record) return "none";
  const data = Buffer.from(record.data);
  if (record.kind === "kvm-tsc") return `${data.readUInt32LE(16)}`;
  return record.kind === "kvm-msrs" ? msrIndices(record.data).join() : data.toString("hex");
}

const khzOf = (vm: KvmVm) => ioctl(vm.vcpus[0]?.handle.fd as number, kvm.KVM_GET_TSC_KHZ);

/** Changes a record's bytes in a state. */
const setRecord = (name: string, edit: (data: Buffer<ArrayBuffer>) => Uint8Array) => (state: State) => {
  const record = state.get(name) as SavedRecord;
  const data = new Uint8Array(edit(Buffer.from(new Uint8Array(record.data).buffer)));
  state.set(name, { ...record, data });
};

const nextTscKhz = setRecord("cpu0/kvm-tsc", (data) => {
  data.writeUInt32LE(data.readUInt32LE(16) + 1, 16);
  return data;
});

/** Whether this KVM can give a guest a TSC of its own. */
export function tscOffsets() {
  const vm = new KvmVm(1);
  const records = vm.save();
  const { value } = tscOf(records);
  vm.restore(byName(records), { elapsedNs: 1e12, sameBoot: false });
  return tscOf(vm.save()).value - value > (1_000_000n * BigInt(tscOf(records).khz)) / 2n;
}
