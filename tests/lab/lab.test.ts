import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHECKOUT } from "./lib/checkout.ts";
import { LAB_EXIT_STATUS } from "./lib/errors.ts";
import { labSkipReason, runInLab } from "./lib/lab.ts";

const skip = labSkipReason();
const BOOT_MS = 120_000;

/** Waits for a condition, with a bound. */
async function until(what: string, condition: () => boolean, boundMs = BOOT_MS): Promise<void> {
  const deadline = performance.now() + boundMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${boundMs} ms: ${what}`);
    await Bun.sleep(20);
  }
}

/** `bun run lab` as a process of its own, with its output so far. */
function startLab(...words: string[]) {
  const child = Bun.spawn([process.execPath, join(CHECKOUT, "tests/lab/lab.ts"), ...words], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  const collect = async (name: "stdout" | "stderr") => {
    for await (const chunk of child[name]) output[name] += Buffer.from(chunk).toString();
  };
  const complete = Promise.all([collect("stdout"), collect("stderr")]);
  const qemus = () => childrenOf(child.pid);
  return { child, output, complete, qemus, [Symbol.dispose]: () => child.kill("SIGKILL") };
}

/** A folder that something appears in when a command in the lab is to go on. */
function signalFolder() {
  const folder = mkdtempSync(join(tmpdir(), "vmm-go-"));
  return {
    folder,
    give: () => writeFileSync(join(folder, "go"), ""),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

const isGone = (pid: number) => !existsSync(`/proc/${pid}`);

describe.skipIf(skip !== undefined)(`the lab${skip ? ` (${skip})` : ""}`, () => {
  test(
    "gives back a command's output, byte for byte, and its exit status",
    async () => {
      const script = `printf 'out\\r\\n\\0\\tend'; printf 'err\\n\\n' >&2; echo more >/dev/stderr; sleep 300 & exit 7`;
      expect(await runInLab(["sh", "-c", script])).toEqual({
        status: 7,
        stdout: "out\r\n\0\tend",
        stderr: "err\n\nmore\n",
      });
    },
    BOOT_MS,
  );

  test(
    "is a host with KVM, VFIO, IOMMUFD, hugepages and three PCI devices to pass through",
    async () => {
      const script = `
      pwd; bun --version; bunx --version; echo "$VMM_LAB $A"; nproc; ulimit -l
      for path in kvm iommu vfio/vfio vhost-net net/tun shm pts/ptmx; do [ -e /dev/$path ] && echo /dev/$path; done
      for slot in 10 11 12; do
        device=/sys/bus/pci/devices/0000:00:$slot.0
        echo $(cat $device/vendor $device/device) alone $(ls $device/iommu_group/devices | wc -l)
      done
      grep -c -w svm /proc/cpuinfo; cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
      [ -w /tmp ] && [ ! -w /usr ] && echo only /tmp is writable
      cat /sys/class/net/lo/operstate; cat /sys/class/nvme/nvme0/state
      [ -r "$VMM_LAB_KERNEL" ] && echo a kernel for guests`;
      const options = { env: { A: `it's "a"\n$b` }, hugepages: ["2M:8"] };
      const { status, stdout, stderr } = await runInLab(["sh", "-c", script], options);
      expect(stderr).toBe("");
      expect(stdout.trimEnd().split("\n")).toEqual([
        ...[CHECKOUT, Bun.version, Bun.version, `1 it's "a"`, "$b", "2", "unlimited"],
        ...["kvm", "iommu", "vfio/vfio", "vhost-net", "net/tun", "shm", "pts/ptmx"].map(
          (path) => `/dev/${path}`,
        ),
        ...["0x1234 0x11e8", "0x1b36 0x0010", "0x8086 0x10d3"].map((id) => `${id} alone 1`),
        ...["2", "8", "only /tmp is writable", "unknown", "live", "a kernel for guests"],
      ]);
      expect(status).toBe(0);
    },
    BOOT_MS,
  );

  test(
    "lives as long as it shows so",
    async () => {
      const script = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 2; done; echo done";
      const { stdout } = await runInLab(["sh", "-c", script], { standstillSeconds: 10 });
      expect(stdout).toBe("done\n");
    },
    BOOT_MS,
  );

  test(
    "ends a command that hangs when the time is up, and leaves no QEMU behind",
    async () => {
      using lab = startLab("--timeout", "6", "--", "sh", "-c", "sleep 1000");
      await until("QEMU runs", () => lab.qemus().length === 1);
      const [qemu] = lab.qemus();
      expect(await lab.child.exited).toBe(LAB_EXIT_STATUS.timeout);
      await lab.complete;
      expect(lab.output).toEqual({ stdout: "", stderr: "lab: sh -c sleep 1000: not ended within 6 s\n" });
      expect(isGone(qemu as number)).toBe(true);
    },
    BOOT_MS,
  );

  test(
    "is dead when it stands still, however long its command may take",
    async () => {
      using lab = startLab("--standstill", "15", "--", "sh", "-c", "echo started; sleep 1000");
      await until("the command has started", () => lab.output.stdout === "started\n");
      const [qemu] = lab.qemus();
      process.kill(qemu as number, "SIGSTOP");
      expect(await lab.child.exited).toBe(LAB_EXIT_STATUS.died);
      await lab.complete;
      expect(lab.output.stderr).toEndWith("lab: the lab died: no sign of life for 15 s\n");
      expect(isGone(qemu as number)).toBe(true);
    },
    BOOT_MS,
  );

  test(
    "tells a kernel panic from an exit status, with the console's last words",
    async () => {
      // a panic takes with it what is still on its way out
      using go = signalFolder();
      const crash = `echo before; until ls ${go.folder} | grep -q .; do sleep 0.1; done; echo c >/proc/sysrq-trigger; sleep 1000`;
      using lab = startLab("--expose", go.folder, "--", "sh", "-c", crash);
      await until("the word is out", () => lab.output.stdout === "before\n");
      go.give();
      expect(await lab.child.exited).toBe(LAB_EXIT_STATUS.died);
      await lab.complete;
      expect(lab.output.stdout).toBe("before\n");
      expect(lab.output.stderr).toContain("console: Kernel panic - not syncing: sysrq triggered crash");
    },
    BOOT_MS,
  );

  test(
    "streams output as it comes, and SIGINT in the middle ends it",
    async () => {
      using lab = startLab("sh", "-c", "echo started; sleep 1000");
      await until("the command has started", () => lab.output.stdout === "started\n");
      const [qemu] = lab.qemus();
      lab.child.kill("SIGINT");
      expect(await lab.child.exited).toBe(LAB_EXIT_STATUS.interrupted);
      expect(isGone(qemu as number)).toBe(true);
    },
    BOOT_MS,
  );

  test(
    "leaves no QEMU behind when it is killed itself",
    async () => {
      using lab = startLab("sleep", "1000");
      await until("QEMU runs", () => lab.qemus().length === 1);
      const [qemu] = lab.qemus();
      lab.child.kill("SIGKILL");
      await lab.child.exited;
      await until("QEMU is gone", () => isGone(qemu as number), 10_000);
    },
    BOOT_MS,
  );
});

test("a lab that cannot run says what is missing and has a status of its own", async () => {
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, join(CHECKOUT, "tests/lab/lab.ts"), "true"], {
    env: { ...process.env, VMM_LAB_KERNEL: "/no/such/bzImage" },
  });
  expect(exitCode).toBe(LAB_EXIT_STATUS.unavailable);
  expect(stderr.toString()).toMatch(/^lab: no .*\n$/);
});
