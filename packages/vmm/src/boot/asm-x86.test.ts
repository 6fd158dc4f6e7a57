import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Assembler, al, at, ax, by, eax, ebp, ebx, ecx, edi, edx, esi, esp } from "./asm-x86.ts";

/** Each instruction in every form that differs in its encoding, as objdump writes it in Intel syntax. */
const CASES: readonly [string, (a: Assembler) => void][] = [
  ["mov ecx,0x12345678", (a) => a.mov(ecx, 0x12345678)],
  ["mov al,0x41", (a) => a.mov(al, 0x41)],
  ["mov edx,edi", (a) => a.mov(edx, edi)],
  ["mov ebx,DWORD PTR ds:0x2000", (a) => a.mov(ebx, at(0x2000))],
  ["mov esi,DWORD PTR [eax+0x10]", (a) => a.mov(esi, by(eax, 0x10))],
  ["mov al,BYTE PTR [eax+0x10]", (a) => a.mov(al, by(eax, 0x10))],
  ["mov DWORD PTR ds:0x2000,ebx", (a) => a.mov(at(0x2000), ebx)],
  ["mov BYTE PTR [ebp+0x0],al", (a) => a.mov(by(ebp), al)],
  ["mov DWORD PTR ds:0xfee00300,0xc4500", (a) => a.mov(at(0xfee00300), 0xc4500)],
  ["push 0x1f", (a) => a.push(0x1f)],
  ["push edx", (a) => a.push(edx)],
  ["pop ecx", (a) => a.pop(ecx)],
  ["popf", (a) => a.popf()],
  ["lods al,BYTE PTR ds:[esi]", (a) => a.lodsb()],
  ["add al,0x30", (a) => a.add(al, 0x30)],
  ["add esp,0x4040", (a) => a.add(esp, 0x4040)],
  ["or eax,0x22", (a) => a.or(eax, 0x22)],
  ["and eax,0xfffffff3", (a) => a.and(eax, ~0b1100)],
  ["xor eax,edx", (a) => a.xor(eax, edx)],
  ["cmp ebx,DWORD PTR [esi+0x0]", (a) => a.cmp(ebx, by(esi))],
  ["cmp DWORD PTR [esi+0x0],ebx", (a) => a.cmp(by(esi), ebx)],
  ["cmp DWORD PTR ds:0x3100,0x0", (a) => a.cmp(at(0x3100), 0)],
  ["cmp DWORD PTR [ebx+0x0],0x336ec578", (a) => a.cmp(by(ebx), 0x336ec578)],
  ["inc ebx", (a) => a.inc(ebx)],
  ["inc DWORD PTR ds:0x2000", (a) => a.inc(at(0x2000))],
  ["dec ecx", (a) => a.dec(ecx)],
  ["dec DWORD PTR [esi+0x4]", (a) => a.dec(by(esi, 4))],
  ["lock inc DWORD PTR ds:0x30c0", (a) => a.lockInc(at(0x30c0))],
  ["rol edx,0x4", (a) => a.rol(edx, 4)],
  ["shl eax,0x2", (a) => a.shl(eax, 2)],
  ["shr ecx,0x18", (a) => a.shr(ecx, 24)],
  ["imul eax,eax,0x9e3779b1", (a) => a.imul(eax, 0x9e3779b1)],
  ["div ecx", (a) => a.div(ecx)],
  ["test al,0x20", (a) => a.test(al, 0x20)],
  ["test eax,0x100", (a) => a.test(eax, 0x100)],
  ["jmp ecx", (a) => a.jumpTo(ecx)],
  ["ret", (a) => a.ret()],
  ["in al,dx", (a) => a.in(al)],
  ["in ax,dx", (a) => a.in(ax)],
  ["out dx,al", (a) => a.out(al)],
  ["out dx,ax", (a) => a.out(ax)],
  ["cli", (a) => a.cli()],
  ["sti", (a) => a.sti()],
  ["cld", (a) => a.cld()],
  ["hlt", (a) => a.hlt()],
  ["ud2", (a) => a.ud2()],
  ["rdtsc", (a) => a.rdtsc()],
  ["mov eax,cr4", (a) => a.readControl(4)],
  ["mov cr0,eax", (a) => a.writeControl(0)],
  ["fninit", (a) => a.fninit()],
  ["movups xmm0,XMMWORD PTR ds:0x3090", (a) => a.loadXmm0(at(0x3090))],
  ["movups XMMWORD PTR [esi+0x0],xmm0", (a) => a.storeXmm0(by(esi))],
  ["movq mm0,QWORD PTR ds:0x3090", (a) => a.loadMm0(at(0x3090))],
  ["movq QWORD PTR ds:0x3090,mm0", (a) => a.storeMm0(at(0x3090))],
];

/** Code that is more than one instruction, uses labels, or is in real mode. */
const SEQUENCES: readonly [string[], (a: Assembler) => void][] = [
  [["mov al,0xfe", "out 0x64,al"], (a) => a.outByte(0x64, 0xfe)],
  [["mov al,0x3", "mov edx,0x3fb", "out dx,al"], (a) => a.outByte(0x3fb, 3)],
  [["mov es,eax", "mov ss,eax", "mov ds,eax", "mov fs,eax", "mov gs,eax"], (a) => a.loadDataSegments()],
  [
    ["inc ebx", "je 0x8000", "jne 0x8000", "jb 0x8000", "ja 0x8000", "jmp 0x8000", "call 0x8000"],
    (a) => {
      a.label("again");
      a.inc(ebx);
      for (const condition of ["equal", "notEqual", "below", "above"] as const) a.jumpIf(condition, "again");
      a.jump("again");
      a.call("again");
    },
  ],
  [
    ["jmp 0x8:0x8000", "lgdtd ds:0x8000", "lidtd ds:0x8000"],
    (a) => {
      a.label("here");
      a.farJump(8, "here");
      a.lgdt("here");
      a.lidt("here");
    },
  ],
];

function disassemble(code: Uint8Array, machine: "i386" | "i8086"): string[] {
  const folder = mkdtempSync(join(tmpdir(), "asm-"));
  try {
    const file = join(folder, "code");
    writeFileSync(file, code);
    const options = ["-D", "-b", "binary", "-m", machine, "-M", "intel", "--no-show-raw-insn"];
    const { stdout } = Bun.spawnSync(["objdump", ...options, "--adjust-vma=0x8000", file]);
    const lines = stdout.toString().matchAll(/^ +[0-9a-f]+:\t(.*)$/gm);
    return [...lines].map(([, text]) => (text ?? "").replaceAll(/\s+/g, " ").trim());
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function codeOf(write: (a: Assembler) => void): Uint8Array {
  const a = new Assembler(0x8000);
  write(a);
  return a.assemble();
}

describe.skipIf(!Bun.which("objdump"))("the disassembler agrees (needs objdump)", () => {
  test("on every instruction", () => {
    const code = codeOf((a) => {
      for (const [, write] of CASES) write(a);
    });
    expect(disassemble(code, "i386")).toEqual(CASES.map(([text]) => text));
  });

  test.each(SEQUENCES)("on %p", (expected, write) => {
    expect(disassemble(codeOf(write), "i386")).toEqual(expected);
  });

  test("on what leaves real mode", () => {
    const code = codeOf((a) => {
      a.mode = 16;
      a.label("here");
      a.cli();
      a.lgdt("here");
      a.readControl(0);
      a.or(al, 1);
      a.writeControl(0);
      a.farJump(8, "here");
    });
    const expected = ["cli", "lgdtd ds:0x8000", "mov eax,cr0", "or al,0x1", "mov cr0,eax", "jmp 0x8:0x8000"];
    expect(disassemble(code, "i8086")).toEqual(expected);
  });
});

test("a loop is encoded as short as it can be", () => {
  const code = codeOf((a) => {
    a.label("again");
    a.inc(ebx);
    a.inc(at(0x2000));
    a.cmp(ebx, at(0x2000));
    a.jumpIf("equal", "again");
  });
  expect(code.toHex()).toBe("43ff05002000003b1d0020000074f1");
});

test("what cannot be encoded is an error", () => {
  const a = new Assembler(0);
  expect(() => a.mov(at(0), at(4))).toThrow("memory to memory");
  expect(() => a.cmp(at(0), at(4))).toThrow("two memory operands");
  expect(() => a.inc(by(esp))).toThrow("SIB");
  expect(() => a.test(ecx, 1)).toThrow("al or eax");
});
