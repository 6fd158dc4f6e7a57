/** The heartbeat guest's constants: strings, descriptor tables, and the entries of exceptions. */
import { type Assembler, eax, ecx, edx } from "../asm-x86.ts";
import { faultNumber } from "./faults.ts";
import { CODE_SELECTOR, IRQ0_VECTOR, VECTORS } from "./hardware.ts";
import { FAULTS } from "./map.ts";

/** One entry per exception, which pushes its vector. Those with an error code lose their address to it. */
export function exceptions(a: Assembler): void {
  for (let vector = 0; vector < IRQ0_VECTOR; vector++) {
    a.label(`exception ${vector}`);
    a.push(vector);
    a.jump("exception");
  }
  a.label("exception");
  a.pop(ecx);
  a.pop(edx);
  a.mov(eax, faultNumber("exception"));
  a.jump("fault");
}

export function tables(a: Assembler): void {
  const strings = {
    digits: "0123456789abcdef",
    "text tick": "tick ",
    "text count": " count ",
    "text secret": " secret ",
    "text input": " input ",
    "text fault": "heartbeat: FAULT ",
    "text cpu": " cpu ",
    "text register": " register ",
    "text memory": " ram ",
    "text end": "\r\n",
  };
  for (const [label, text] of Object.entries(strings)) {
    a.label(label);
    a.text(text);
  }
  for (const name of FAULTS) {
    a.label(`fault ${name}`);
    a.text(name);
  }
  a.align(8);
  a.label("fault names");
  for (const name of FAULTS) a.dword(`fault ${name}`);
  descriptorTables(a);
}

function descriptorTables(a: Assembler): void {
  a.align(8);
  a.label("gdt");
  a.byte(0, 0, 0, 0, 0, 0, 0, 0);
  a.byte(0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0); // code: 4 GiB at 0, 32-bit
  a.byte(0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0); // data
  a.label("gdt pointer");
  a.word(3 * 8 - 1);
  a.dword("gdt");

  a.align(8);
  a.label("idt");
  for (let vector = 0; vector < VECTORS; vector++) {
    const isException = vector < IRQ0_VECTOR;
    a.word(isException ? `exception ${vector}` : vector === IRQ0_VECTOR ? "timer" : "timer done");
    a.word(CODE_SELECTOR);
    a.byte(0, 0x8e); // interrupt gate, 32-bit, present
    a.word(0); // the program is below 64 KiB
  }
  a.label("idt pointer");
  a.word(VECTORS * 8 - 1);
  a.dword("idt");
  a.label("empty pointer");
  a.word(0);
  a.dword(0);
}
