/** Cases of process.test.ts that end or change their process, chosen by the first argument. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  cloneVm,
  executable,
  execve,
  execveat,
  kill,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MFD_CLOEXEC,
  memfdCreate,
  memoryView,
  mmap,
  munmap,
  O_CLOEXEC,
  O_PATH,
  open,
  PROT_READ,
  PROT_WRITE,
  pwriteAll,
  SIGKILL,
  type SyscallError,
  setsid,
  symbolAddress,
  waitpid,
} from "../../src/index.ts";

const say = (line: string) => void process.stdout.write(`${line}\n`);

function sayError(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    say((error as SyscallError).message.replace(/(.{200}).*/, "$1"));
  }
}

/** mov dword [rdi], 1234; mov eax, 42; ret */
const WRITE_AND_RETURN = Uint8Array.of(
  ...[0xc7, 0x07, 0xd2, 0x04, 0x00, 0x00],
  ...[0xb8, 0x2a, 0x00, 0x00, 0x00, 0xc3],
);

const cases: Record<string, () => void> = {
  execve() {
    process.env.MARK = "in JavaScript only";
    const kept = memfdCreate("kept", 0);
    const closed = memfdCreate("closed", MFD_CLOEXEC);
    for (const fd of [kept, closed]) pwriteAll(fd, Buffer.from("kept\n"), 0);
    const script = `echo "$$ $MARK $1 \${PATH_TO_NOTHING-unset}"
      cat /proc/self/fd/${kept}
      test -e /proc/self/fd/${closed} || echo closed
      exit 7`;
    const env = { ...process.env, MARK: "changed", PATH_TO_NOTHING: undefined };
    execve("/bin/sh", ["sh", "-c", script, "sh", "é"], env);
  },

  execveat() {
    const directory = mkdtempSync(join(tmpdir(), "execveat-"));
    const file = join(directory, "sh");
    copyFileSync("/bin/sh", file);
    const fd = open(file, O_PATH | O_CLOEXEC);
    rmSync(directory, { recursive: true });
    execveat(fd, ["sh", "-c", 'echo "$$ $1 $MARK"', "sh", "first"], { MARK: "second" });
  },

  "exec-fails"() {
    sayError(() => execve("/nonexistent", ["x"], {}));
    sayError(() => execve("/", ["x"], {}));
    sayError(() => execve("/bin/sh", ["sh", "x".repeat(200_000)], {}));
    sayError(() => execve("/bin/sh", ["a\0b"], {}));
    sayError(() => execveat(999_999, ["x"], {}));
    say("still here");
  },

  clone() {
    const code = executable(WRITE_AND_RETURN);
    const page = mmap({ length: 4096, prot: PROT_READ | PROT_WRITE, flags: MAP_PRIVATE | MAP_ANONYMOUS });
    const short = cloneVm(code, page);
    const end = waitpid(short.pid);
    munmap(short.stack, short.stackBytes);
    say(`${Atomics.load(new Int32Array(memoryView(page, 4)), 0)}`);
    say(`exit ${end?.exitCode}`);

    const pausing = cloneVm(symbolAddress("pause"), 0);
    const page0 = page.toString(16);
    const maps = (pid: number | string) => readFileSync(`/proc/${pid}/maps`, "latin1");
    say(maps(pausing.pid).includes(page0) ? "same address space" : "another address space");
    kill(pausing.pid, SIGKILL);
    say(`signal ${waitpid(pausing.pid)?.signal}`);
    munmap(pausing.stack, pausing.stackBytes);
    try {
      waitpid(pausing.pid);
    } catch (error) {
      say(`no child left: ${(error as SyscallError).code}`);
    }
  },

  setsid() {
    say(`${setsid()}`);
    sayError(setsid);
  },
};

cases[process.argv[2] as string]?.();
