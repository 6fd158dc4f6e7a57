/**
 * vCPUs that run on while the program around them is replaced.
 *
 * KVM lets any process run a vCPU that shares the VM's address space. So before an exec each vCPU is given to an agent: a
 * process made by clone(CLONE_VM), which keeps the address space, and with it the VM, alive. The guest goes on at once; it
 * stands still again only where it needs a device, or when the new program takes it over.
 */
import type { FdTable } from "@vmm/cpr";
import { faultPoint } from "@vmm/cpr/incoming";
import {
  type ClonedProcess,
  cloneVm,
  ftruncate,
  kill,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  memfdCreate,
  monotonicNs,
  munmap,
  SIGKILL,
  SignalSet,
  waitpid,
} from "@vmm/libc";
import type { ExitTargets, RunningOn } from "../../accelerator.ts";
import { ExitDispatch } from "../exit-dispatch.ts";
import { finishExit } from "../finish-exit.ts";
import { KICK_SIGNAL } from "../kvm-runner.ts";
import type { KvmVcpu } from "../kvm-vcpu.ts";
import { agentCode } from "./agent-code.ts";
import { AGENT_SPACE, AgentMemory } from "./agent-control.ts";
import { AGENT_FDS, type AgentInfo, agentRecord } from "./agent-info.ts";

/** An agent that nobody ends lives no longer (s): several times any commit timeout. */
const LIFE_S = 120;

const kickSet = (): bigint => new DataView(new SignalSet([KICK_SIGNAL]).bytes.buffer).getBigUint64(0, true);

/** Fills the control block and starts the process. */
function startAgent(memory: AgentMemory, vcpu: KvmVcpu): ClonedProcess {
  const { control } = memory.of(vcpu.index);
  Object.assign(control, {
    // as after a kick: nothing waits to be served
    result: -4n,
    kick_set: kickSet(),
    vcpu_fd: vcpu.handle.fd,
    alarm: LIFE_S,
  });
  faultPoint("start-agent");
  vcpu.forgetKick();
  return cloneVm(agentCode(), memory.address + vcpu.index * AGENT_SPACE);
}

/**
 * Gives the vCPUs, which are paused, to agents.
 *
 * @param sinceNs When the first vCPU was paused.
 */
export function startAgents(vm: number, vcpus: readonly KvmVcpu[], fds: FdTable, sinceNs: number): RunningOn {
  const fd = memfdCreate("vmm-kvm-agents", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ftruncate(fd, vcpus.length * AGENT_SPACE);
  const memory = new AgentMemory(fd, vcpus.length);
  const started: ClonedProcess[] = [];
  try {
    for (const vcpu of vcpus) started.push(startAgent(memory, vcpu));
  } catch (error) {
    end(memory, started);
    throw error;
  }
  fds.saveFd(AGENT_FDS.control, 0, fd);
  for (const { index, handle } of vcpus) fds.saveFd(AGENT_FDS.vcpu, index, handle.fd);
  const info: AgentInfo = {
    base: memory.address,
    vmFd: vm,
    handOff: { fromNs: sinceNs, toNs: monotonicNs() },
    vcpus: vcpus.map(({ index, handle, features }) => ({
      pid: (started[index] as ClonedProcess).pid,
      fd: handle.fd,
      features,
    })),
  };
  return {
    records: [...vcpus.map((vcpu) => vcpu.cpuidRecord()), agentRecord(info)],
    takeBack: (targets) => takeBack(memory, vcpus, started, fds, targets),
  };
}

/** Ends agents that stand still or have not begun. */
function end(memory: AgentMemory, agents: readonly ClonedProcess[]): void {
  for (const { pid } of agents) kill(pid, SIGKILL);
  for (const { pid, stack, stackBytes } of agents) {
    waitpid(pid);
    munmap(stack, stackBytes);
  }
  memory.close();
}

/** Stops the agents and serves what their vCPUs stand at, so that our own threads can go on with them. */
function takeBack(
  memory: AgentMemory,
  vcpus: readonly KvmVcpu[],
  agents: readonly ClonedProcess[],
  fds: FdTable,
  targets: ExitTargets,
): void {
  for (const { index } of vcpus) memory.of(index).command("hold");
  for (const { pid } of agents) kill(pid, KICK_SIGNAL);
  for (const vcpu of vcpus) {
    const agent = memory.of(vcpu.index);
    agent.awaitParked();
    const dispatch = new ExitDispatch(vcpu.run, targets, vcpu.index);
    if (agent.exitPending) dispatch.serve();
    finishExit(vcpu.handle.fd, vcpu.run, dispatch);
  }
  fds.deleteFd(AGENT_FDS.control, 0);
  for (const { index } of vcpus) fds.deleteFd(AGENT_FDS.vcpu, index);
  end(memory, agents);
}
