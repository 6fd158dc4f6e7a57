/** Numbers of model-specific registers, from the kernel's `asm/msr-index.h` and `asm/mtrr.h`. */

export const MSR_IA32_TSC = 0x10;
export const MSR_IA32_TSC_DEADLINE = 0x6e0;

export const MSR_MTRRdefType = 0x2ff;
export const MSR_MTRRfix64K_00000 = 0x250;
export const MSR_MTRRfix16K_80000 = 0x258;
/** The first of 8. */
export const MSR_MTRRfix4K_C0000 = 0x268;
/** The first of a pair, of which there are up to 8 in KVM: base, then mask. */
export const MTRRphysBase_MSR0 = 0x200;

/** The first bank's four: CTL, STATUS, ADDR, MISC. */
export const MSR_IA32_MC0_CTL = 0x400;
export const MSR_IA32_MC0_CTL2 = 0x280;
