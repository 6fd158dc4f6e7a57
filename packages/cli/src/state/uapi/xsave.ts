/** The head of an XSAVE area (Intel SDM volume 1, sections 10.5.1 and 13.4; `asm/fpu/types.h`). */
import { bytes, struct, u8, u16, u32, u64 } from "@vmm/libc";

export const XsaveHead = struct("xsave_head", {
  fcw: u16,
  fsw: u16,
  /** Abridged: a bit for each register that is in use. */
  ftw: u8,
  reserved: u8,
  fop: u16,
  rip: u64,
  rdp: u64,
  mxcsr: u32,
  mxcsr_mask: u32,
  /** Eight x87 registers of 10 bytes, each in a slot of 16. */
  st: bytes(128),
  /** The low halves of sixteen vector registers. */
  xmm: bytes(256),
  fx_reserved: bytes(48),
  /** Free for software: Linux notes here which components it wrote. */
  software: bytes(48),
  /** The components that are not in their initial state, and so are in the area. */
  xstate_bv: u64,
  xcomp_bv: u64,
  header_reserved: bytes(48),
});

/** Components by their bit of `xstate_bv` (Intel SDM volume 1, section 13.1). */
export const XSTATE_COMPONENTS = [
  "x87",
  "SSE",
  "AVX",
  "BNDREGS",
  "BNDCSR",
  "opmask",
  "ZMM_Hi256",
  "Hi16_ZMM",
  "PT",
  "PKRU",
  "PASID",
  "CET_U",
  "CET_S",
  "HDC",
  "UINTR",
  "LBR",
  "HWP",
  "TILECFG",
  "TILEDATA",
] as const;
