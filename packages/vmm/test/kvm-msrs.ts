/** Model-specific registers of a real vCPU, for `msrs.test.ts`. */
import { O_CLOEXEC, O_RDWR, open } from "@vmm/libc";
import { KvmVm } from "../src/accel/kvm/index.ts";
import { msrBlock, msrIndexList, readableMsrs, readMsrs, writeMsrs } from "../src/accel/kvm/msrs.ts";
import { writesHere } from "../src/accel/kvm/state-read.ts";
import { KVM_SET_MSRS } from "../src/accel/kvm/uapi/kvm.ts";
import { vcpuReads } from "../src/accel/kvm/vcpu-state.ts";

const SYSENTER_CS = 0x174;
const SYSENTER_ESP = 0x175;
const SYSENTER_EIP = 0x176;
/** Takes no reserved bits. */
const EFER = 0xc0000080;
/** No processor has these. */
const UNKNOWN = 0xdeadbee0;

const vcpu = () => new KvmVm(1).vcpus[0]?.handle.fd as number;

const values = (fd: number, ...indices: number[]): bigint[] => {
  const bytes = readMsrs(fd, indices);
  return indices.map((_, i) => new DataView(bytes.buffer).getBigUint64(16 * (i + 1), true));
};

/** Writes a block in which some are refused: for their value, or since they don't exist. */
export function refusals() {
  const fd = vcpu();
  const [efer] = values(fd, EFER);
  const written: [number, bigint][] = [
    [SYSENTER_CS, 0x55n],
    [EFER, 1n << 40n],
    [UNKNOWN, 0n],
    [SYSENTER_ESP, 0x1234n],
    [SYSENTER_EIP, 0x5678n],
  ];
  const block = msrBlock(written.map(([index]) => index));
  written.forEach(([, value], i) => {
    block.setBigUint64(16 * (i + 1), value, true);
  });
  const bytes = new Uint8Array(block.buffer);
  const before = bytes.slice();
  return {
    refused: writeMsrs(fd, bytes),
    blockKept: Buffer.from(before).equals(bytes),
    eferKept: values(fd, EFER)[0] === efer,
    read: values(fd, SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP),
    again: writeMsrs(fd, readMsrs(fd, [SYSENTER_CS, SYSENTER_ESP])),
    none: writeMsrs(fd, readMsrs(fd, [])),
  };
}

/** What a guest's kernel sets as it boots, and whether it is there in another VM. */
export function kept() {
  const set: [number, bigint][] = [
    [0x2ff, 0xc06n],
    [0x200, 0xc0000000n],
    [0x201, 0xffc0000800n],
    [0x20f, 0x800n],
    [0x250, 0x0606060606060606n],
    [0x259, 0x0101010101010101n],
    [0x26f, 0x0505050505050505n],
    [0x277, 0x0007040600070406n],
    [0x400, 0xffffffffffffffffn],
    [0x41c, 0xffffffffffffffffn],
  ];
  const indices = set.map(([index]) => index);
  const block = msrBlock(indices);
  set.forEach(([, value], i) => {
    block.setBigUint64(16 * (i + 1), value, true);
  });
  const from = new KvmVm(1);
  from.save();
  const fdOf = (vm: KvmVm) => vm.vcpus[0]?.handle.fd as number;
  const refused = writeMsrs(fdOf(from), new Uint8Array(block.buffer));
  const to = new KvmVm(1);
  to.restore(new Map(from.save().map((record) => [record.name, record])), { elapsedNs: 0, sameBoot: true });
  const lost = values(fdOf(to), ...indices).flatMap((value, i) =>
    value === set[i]?.[1] ? [] : [indices[i]],
  );
  return { refused, lost };
}

/** More than KVM takes at once: the same few again and again, the last of which are given a value. */
export function many() {
  const fd = vcpu();
  const indices = Array.from(
    { length: 600 },
    (_, i) => [SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP][i % 3] as number,
  );
  const block = msrBlock(indices);
  indices.forEach((_, i) => {
    block.setBigUint64(16 * (i + 1), BigInt(i), true);
  });
  // one that is refused, in the second part
  block.setUint32(8 + 16 * 300, EFER, true);
  block.setBigUint64(16 * 301, 1n << 40n, true);
  const refused = writeMsrs(fd, new Uint8Array(block.buffer));
  const read = readMsrs(fd, indices);
  const view = new DataView(read.buffer);
  return {
    refused,
    count: view.getUint32(0, true),
    last: [598, 599, 600].map((entry) => Number(view.getBigUint64(16 * entry, true))),
    readable: readableMsrs(fd, [...indices, UNKNOWN, ...indices]).length,
  };
}

/** Which of KVM's own list can be read, in which order. */
export function readable() {
  const fd = vcpu();
  const all = msrIndexList(open("/dev/kvm", O_RDWR | O_CLOEXEC));
  const found = readableMsrs(fd, [UNKNOWN, 0x6e0, ...all]);
  const unreadable = all.filter((index) => !found.includes(index));
  return {
    count: found.length,
    hasTsc: all.includes(0x10),
    last: found.at(-1),
    // each that was left out cannot be read by itself either
    leftOut: unreadable.every((index) => readableMsrs(fd, [index]).length === 0),
    twice: readableMsrs(fd, found).length === found.length,
  };
}

/** What the list of calls that loads a vCPU tells of a block that KVM takes, and of one that it takes a part of. */
export function inOneList() {
  const vm = new KvmVm(1);
  // asks what the vCPU has
  vm.save();
  const vcpu = vm.vcpus[0] as KvmVm["vcpus"][number];
  const { fd } = vcpu.handle;
  const load = (...msrs: number[]) => {
    const { writes = [] } = vcpuReads("cpu0", { ...vcpu.features, msrs });
    return writesHere(
      fd,
      writes.filter(({ request }) => request === KVM_SET_MSRS),
      ({ buffer }) => buffer,
    )();
  };
  return {
    whole: load(SYSENTER_CS, SYSENTER_ESP),
    part: load(SYSENTER_CS, UNKNOWN, SYSENTER_ESP),
    last: load(SYSENTER_CS, UNKNOWN),
    none: load(UNKNOWN),
    /** Beyond what KVM takes at once. */
    later: load(...Array.from({ length: 300 }, (_, i) => (i === 299 ? UNKNOWN : SYSENTER_CS))),
  };
}
