import { expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { readHere, readsHere } from "./state-read.ts";
import { KVM_GET_MP_STATE, KVM_GET_REGS, KvmMpState, KvmRegs } from "./uapi/kvm.ts";

test("requests that nobody takes are told by the first of them, with its fd", () => {
  const fd = openSync("/dev/null", "r");
  try {
    const regs = { request: KVM_GET_REGS, buffer: KvmRegs.alloc().$bytes };
    const state = { request: KVM_GET_MP_STATE, buffer: KvmMpState.alloc().$bytes };
    expect(() => readHere({ fd, reads: [regs, state] })).toThrow(`KVM_GET_REGS on fd ${fd}`);
    const read = readsHere({ fd, reads: [] }, { fd, reads: [state, regs] });
    for (const _ of [1, 2]) expect(read).toThrow(`KVM_GET_MP_STATE on fd ${fd}`);
  } finally {
    closeSync(fd);
  }
});

test("no requests are none", () => {
  expect(readHere()).toBeUndefined();
});
