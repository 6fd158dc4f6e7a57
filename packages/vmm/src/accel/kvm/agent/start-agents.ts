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
  closeAllBut,
  kill,
  killIfThere,
  monotonicNs,
  munmap,
  SIG_BLOCK,
  SIG_SETMASK,
  SIGALRM,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGKILL,
  SIGPWR,
  SIGSEGV,
  SIGTRAP,
  SignalSet,
  SyscallList,
  sigmask,
} from "@vmm/libc";
import { VmmError } from "../../../vmm-error.ts";
import type { ExitTargets, WaitingVcpuRunners } from "../../accelerator.ts";
import { ExitDispatch } from "../exit-dispatch.ts";
import { finishExit } from "../finish-exit.ts";
import { blockInRunCall, KICK_SIGNAL, unblockKickInRun } from "../kvm-runner.ts";
import type { KvmVcpu } from "../kvm-vcpu.ts";
import { agentCode } from "./agent-code.ts";
import { AGENT_SPACE, AgentMemory, COMMAND } from "./agent-control.ts";
import { AGENT_FDS, type AgentInfo, agentRecord } from "./agent-info.ts";
import { reapIfEnded } from "./agent-process.ts";

/**
 * An agent that nobody ends lives no longer (s): time for the new program, for the old one that comes back after it, and
 * for a keeper's, and a minute for good measure.
 */
const lifeOf = (limitMs: number): number => Math.ceil((3 * limitMs) / 1000) + 60;

const kickSet = (): bigint => new DataView(new SignalSet([KICK_SIGNAL]).bytes.buffer).getBigUint64(0, true);

/** What is never blocked: faults, the JavaScript engine's own signal, and the one that ends an agent's life. */
const DEADLY = [SIGALRM, SIGPWR, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP];

/** What is blocked while an agent is in KVM_RUN. */
const AGENT_MASK = SignalSet.allExcept([...DEADLY, KICK_SIGNAL]);

/**
 * Fills the control block and starts the process, which waits for a command.
 *
 * @param fd The vCPU that it is to run; of the spare, any.
 */
function startAgent(memory: AgentMemory, index: number, fd: number, limitMs: number): ClonedProcess {
  const { control } = memory.of(index);
  Object.assign(control, {
    command: COMMAND.hold,
    // as after a kick: nothing waits to be served
    result: -4n,
    kick_set: kickSet(),
    vcpu_fd: fd,
    alarm: lifeOf(limitMs),
  });
  faultPoint("start-agent");
  return cloneVm(agentCode(), memory.address + index * AGENT_SPACE);
}

/** Has the agents close all that they were born with but the VM: a fd is closed for others only when all copies are. */
function closeOtherFds(memory: AgentMemory, vm: number, vcpus: readonly KvmVcpu[]): void {
  const calls = closeAllBut([vm, ...vcpus.map(({ handle }) => handle.fd)]);
  const agents = Array.from({ length: vcpus.length + 1 }, (_, index) => memory.of(index));
  for (const agent of agents) {
    agent.layOut(calls);
    agent.command("batch");
  }
  for (const agent of agents) agent.awaitParked();
}

/** Starts all agents, the spare last, or none. Our signal handlers are JavaScript's: an agent must run none of them. */
function startAll(memory: AgentMemory, { vm, vcpus, limitMs }: AgentsOptions): ClonedProcess[] {
  const started: ClonedProcess[] = [];
  const mask = sigmask(SIG_BLOCK, SignalSet.allExcept(DEADLY));
  try {
    for (const { index, handle } of vcpus) started.push(startAgent(memory, index, handle.fd, limitMs));
    started.push(startAgent(memory, vcpus.length, vm, limitMs));
    closeOtherFds(memory, vm, vcpus);
    return started;
  } catch (error) {
    end(started);
    throw error;
  } finally {
    sigmask(SIG_SETMASK, mask);
  }
}

export interface AgentsOptions {
  /** The VM's fd. */
  readonly vm: number;
  readonly vcpus: readonly KvmVcpu[];
  readonly fds: FdTable;
  /** How long the next program may take (ms). */
  readonly limitMs: number;
}

/** Starts an agent for each vCPU. They wait, and the vCPUs may run here meanwhile: a start takes longer than a pause. */
export function startAgents(options: AgentsOptions): WaitingVcpuRunners {
  const { vm, vcpus, fds } = options;
  faultPoint("memfd");
  const memory = AgentMemory.create(vcpus.length + 1);
  let started: ClonedProcess[];
  try {
    fds.saveFd(AGENT_FDS.control, 0, memory.fd);
    for (const { index, handle } of vcpus) fds.saveFd(AGENT_FDS.vcpu, index, handle.fd);
    started = startAll(memory, options);
  } catch (error) {
    forget(fds, vcpus);
    memory.close();
    throw error;
  }
  const giveBack = () => {
    forget(fds, vcpus);
    memory.close();
  };
  const give = prepareToGive(memory, vcpus);
  return {
    pids: started.map(({ pid }) => pid),
    runOn: (sinceNs, told = () => {}) => {
      give();
      const toNs = monotonicNs();
      told();
      const info: AgentInfo = {
        base: memory.address,
        vmFd: vm,
        handOff: { fromNs: sinceNs, toNs },
        vcpus: vcpus.map(({ index, handle, features }) => ({
          pid: (started[index] as ClonedProcess).pid,
          fd: handle.fd,
          features,
        })),
        spare: (started[vcpus.length] as ClonedProcess).pid,
      };
      return {
        records: [...vcpus.map((vcpu) => vcpu.cpuidRecord()), agentRecord(info)],
        takeBack: (targets) => {
          try {
            stop(memory, vcpus, started);
            for (const vcpu of vcpus) finish(memory, vcpu, targets);
          } finally {
            giveBack();
          }
        },
      };
    },
    dismiss: () => {
      end(started);
      giveBack();
    },
  };
}

/** Prepares what has the agents run the vCPUs: all, or none. */
function prepareToGive(memory: AgentMemory, vcpus: readonly KvmVcpu[]): () => void {
  const give = new SyscallList([
    ...vcpus.map(({ handle }) => blockInRunCall(handle.fd, AGENT_MASK)),
    ...vcpus.flatMap(({ index }) => memory.of(index).commandCalls("run")),
  ]);
  return () => {
    try {
      for (const vcpu of vcpus) {
        faultPoint("give-vcpu");
        vcpu.forgetKick();
      }
      if (!give.make()) throw new VmmError("accel", "KVM does not let the vCPUs run elsewhere");
    } catch (error) {
      for (const { handle } of vcpus) unblockKickInRun(handle.fd);
      throw error;
    }
  };
}

function forget(fds: FdTable, vcpus: readonly KvmVcpu[]): void {
  fds.deleteFd(AGENT_FDS.control, 0);
  for (const { index } of vcpus) fds.deleteFd(AGENT_FDS.vcpu, index);
}

/** Ends agents, wherever they are, and waits until they are gone. */
function end(agents: readonly ClonedProcess[]): void {
  for (const { pid } of agents) killIfThere(pid, SIGKILL);
  for (const { pid, stack, stackBytes } of agents) {
    reapIfEnded(pid, 0);
    munmap(stack, stackBytes);
  }
}

/** Stops the agents and ends them. One that is dead or does not answer is no loss: the vCPU is in our address space. */
function stop(memory: AgentMemory, vcpus: readonly KvmVcpu[], agents: readonly ClonedProcess[]): void {
  const alive = vcpus.filter(({ index }) => !reapIfEnded((agents[index] as ClonedProcess).pid));
  try {
    const held = alive.filter(({ index }) => memory.of(index).hold());
    for (const { index } of held) kill((agents[index] as ClonedProcess).pid, KICK_SIGNAL);
    for (const { index } of held) memory.of(index).awaitParked();
  } catch (error) {
    console.error(`vmm: ${error instanceof Error ? error.message : error}; it is ended`);
  }
  end(agents);
}

/** Serves what the vCPU of an agent that has ended stands at, so that our own threads can go on with it. */
function finish(memory: AgentMemory, vcpu: KvmVcpu, targets: ExitTargets): void {
  const dispatch = new ExitDispatch(vcpu.run, targets, vcpu.index);
  unblockKickInRun(vcpu.handle.fd);
  if (memory.of(vcpu.index).exitPending) dispatch.serve();
  finishExit(vcpu.handle.fd, vcpu.run, dispatch);
}
