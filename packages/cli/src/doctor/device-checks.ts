/** What device passthrough needs: an IOMMU, VFIO, IOMMUFD. */
import { access, R_OK, W_OK } from "@vmm/libc";
import type { Check } from "./check.ts";
import { exists, namesIn } from "./host-files.ts";

export function deviceChecks(): Check[] {
  return [iommu(), vfio(), iommufd()];
}

function iommu(): Check {
  const groups = namesIn("/sys/kernel/iommu_groups").length;
  if (groups > 0) return { name: "IOMMU", state: "ok", detail: `${groups} groups` };
  return {
    name: "IOMMU",
    state: "missing",
    detail: "no groups in /sys/kernel/iommu_groups",
    help: "only for passthrough: enable VT-d or AMD-Vi in the firmware, and intel_iommu=on on Intel",
  };
}

function vfio(): Check {
  const node = "/dev/vfio/vfio";
  if (!exists(node)) {
    return {
      name: "VFIO",
      state: "missing",
      detail: `there is no ${node}`,
      help: "only for passthrough: modprobe vfio-pci",
    };
  }
  const groups = namesIn("/dev/vfio").filter((name) => /^\d+$/.test(name));
  const mine = groups.filter((name) => access(`/dev/vfio/${name}`, R_OK | W_OK));
  const devices = namesIn("/dev/vfio/devices").length;
  return {
    name: "VFIO",
    state: "ok",
    detail: `${groups.length} groups bound to it, ${mine.length} of them yours to use; ${devices} cdev devices`,
  };
}

function iommufd(): Check {
  const node = "/dev/iommu";
  if (!exists(node)) {
    return {
      name: "IOMMUFD",
      state: "missing",
      detail: `there is no ${node}`,
      help: "only for passthrough the new way: modprobe iommufd (Linux 6.2 or newer)",
    };
  }
  if (access(node, R_OK | W_OK)) return { name: "IOMMUFD", state: "ok", detail: `${node} opens` };
  return {
    name: "IOMMUFD",
    state: "warn",
    detail: `${node}: permission denied`,
    help: `chown ${node} to your user`,
  };
}
