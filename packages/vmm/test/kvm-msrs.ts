/** Model-specific registers of a real vCPU, for `msrs.test.ts`. */
import { O_CLOEXEC, O_RDWR, open } from "@vmm/libc";
import { KvmVm } from "../src/accel/kvm/index.ts";
import { msrBlock, msrIndexList, readableMsrs, readMsrs, writeMsrs } from "../src/accel/kvm/msrs.ts";

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
