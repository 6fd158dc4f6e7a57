import { join } from "node:path";
import { CHECKOUT } from "./checkout.ts";
import { LabError } from "./errors.ts";
import type { LabOptions } from "./options.ts";

/** Descriptors that QEMU inherits. Its stdout is the box's serial console. */
export const BOX_FD = { stdout: 3, stderr: 4, scratch: 5, pulse: 6 } as const;

const INIT = join(CHECKOUT, "tests/lab/init");

/** The root file system is the machine's own, over 9p, cached as if nobody else changed it. */
const ROOT = "root=rootfs rootfstype=9p rootflags=trans=virtio,version=9p2000.L,msize=512000,cache=loose ro";

function kernelCommandLine(options: LabOptions, jobBytes: number): string {
  // The kernel splits its command line at blanks, keeps what stands in double quotes, and has no escape.
  if (INIT.includes('"')) throw new LabError("usage", `the checkout's path has a double quote: ${CHECKOUT}`);
  return [
    "console=ttyS0 quiet",
    ROOT,
    `"init=${INIT}"`,
    "intel_iommu=on iommu=nopt",
    // A panic reboots at once, and -no-reboot makes a reboot the end of the box.
    "panic=-1",
    ...options.hugepages.map((pool) => `hugepagesz=${pool.replace(":", " hugepages=")}`),
    // The kernel hands a word that it doesn't know to init, as a variable.
    `LAB_JOB_BYTES=${jobBytes}`,
  ].join(" ");
}

/**
 * QEMU's arguments for the host in a box: emulated SVM for KVM, an Intel IOMMU with interrupt
 * remapping, and three PCI devices to pass through, each in an IOMMU group of its own.
 */
export function labMachineArguments(kernel: string, options: LabOptions, jobBytes: number): string[] {
  return [
    ["-nodefaults", "-no-user-config", "-no-reboot"],
    ["-display", "none", "-monitor", "none", "-serial", "stdio"],
    ["-accel", "tcg,thread=multi", "-machine", "q35,kernel-irqchip=off", "-cpu", "max,+svm"],
    ["-smp", String(options.cpus), "-m", options.memory],
    ["-device", "intel-iommu,intremap=on,caching-mode=off"],
    // An exercise for drivers: DMA and MSI on command (QEMU, docs/specs/edu.rst).
    ["-device", "edu,addr=0x10"],
    ["-drive", `if=none,id=nv0,file=/proc/self/fd/${BOX_FD.scratch},format=raw`],
    ["-device", "nvme,drive=nv0,serial=labnvme,addr=0x11"],
    ["-netdev", "user,id=n0,restrict=on", "-device", "e1000e,netdev=n0,addr=0x12,romfile="],
    ["-device", "virtio-serial-pci,max_ports=4"],
    // Port 0 is for consoles. The numbers are what the init script opens.
    ["-chardev", `socket,id=stdout,fd=${BOX_FD.stdout}`, "-device", "virtserialport,nr=1,chardev=stdout"],
    ["-chardev", `socket,id=stderr,fd=${BOX_FD.stderr}`, "-device", "virtserialport,nr=2,chardev=stderr"],
    ["-chardev", `socket,id=pulse,fd=${BOX_FD.pulse}`, "-device", "virtserialport,nr=3,chardev=pulse"],
    ["-virtfs", "local,path=/,mount_tag=rootfs,security_model=none,readonly=on,multidevs=remap"],
    ["-kernel", kernel, "-append", kernelCommandLine(options, jobBytes)],
  ].flat();
}
