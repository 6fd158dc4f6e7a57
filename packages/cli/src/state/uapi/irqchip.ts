/** States of KVM's interrupt controllers: `struct kvm_pic_state` and `struct kvm_ioapic_state` of `asm/kvm.h`. */
import { array, struct, u8, u32, u64 } from "@vmm/libc";

/** One 8259. */
export const KvmPicState = struct("kvm_pic_state", {
  last_irr: u8,
  irr: u8,
  imr: u8,
  isr: u8,
  priority_add: u8,
  irq_base: u8,
  read_reg_select: u8,
  poll: u8,
  special_mask: u8,
  init_state: u8,
  auto_eoi: u8,
  rotate_on_auto_eoi: u8,
  special_fully_nested_mode: u8,
  init4: u8,
  elcr: u8,
  elcr_mask: u8,
});

/** Pins of the IOAPIC (`KVM_IOAPIC_NUM_PINS`). */
export const KVM_IOAPIC_NUM_PINS = 24;

export const KvmIoapicState = struct("kvm_ioapic_state", {
  base_address: u64,
  ioregsel: u32,
  id: u32,
  irr: u32,
  pad: u32,
  redirtbl: array(u64, KVM_IOAPIC_NUM_PINS),
});
