import { describe, expect, test } from "bun:test";
import type * as Agents from "../../../../test/kvm-agents.ts";
import { kvmCases, withoutKvm } from "../../../../test/kvm-cases.ts";
import type * as LostAgents from "../../../../test/kvm-lost-agents.ts";

const agents = kvmCases<typeof Agents>("kvm-agents.ts");
const lostAgents = kvmCases<typeof LostAgents>("kvm-lost-agents.ts");

const NOTHING = { processes: 0, controlBlocks: 0, runs: 0, fds: 0 };

describe.skipIf(withoutKvm !== undefined)("vCPUs that agents run (needs /dev/kvm)", () => {
  const takenBack = {
    started: true,
    ranOn: true,
    stood: true,
    countsHere: true,
    left: NOTHING,
    inTable: 0,
    ends: [],
  };

  test("run on without a thread of ours, and go on under us when they are taken back", async () => {
    expect(await agents("takenBack")).toEqual(takenBack);
    expect(await agents("manyTakenBack")).toEqual(takenBack);
  });

  test("run here while their agents wait, and after those were sent away", async () => {
    expect(await agents("dismissed")).toEqual({
      started: true,
      agents: 1,
      // nothing of ours but the VM
      open: Array(3).fill(["anon_inode:kvm-vcpu:0", "anon_inode:kvm-vcpu:1", "anon_inode:kvm-vm"]),
      stood: true,
      undisturbed: true,
      countsHere: true,
      left: NOTHING,
      inTable: 0,
    });
  });

  test("are held by one list of system calls, but where an agent has ended", async () => {
    expect(await agents("heldAtOnce")).toEqual({
      ranOn: true,
      held: true,
      stood: true,
      heldAgain: true,
      wentOn: true,
      heldOnceMore: true,
      heldDead: false,
      countsHere: true,
    });
  });

  test("can be taken back before their agents have begun", async () => {
    expect(await agents("backAndForth")).toEqual({ inTime: true, countsHere: true, left: NOTHING });
  });

  const adopted = {
    ranOn: true,
    undisturbed: true,
    letGo: true,
    stood: true,
    countsHere: true,
    // the program before lives on in this process, and has its own mapping
    left: NOTHING,
    inTable: 0,
    ends: [],
  };

  test("go on in another VM with the registers they had", async () => {
    expect(await agents("adoptedByNext")).toEqual(adopted);
    expect(await agents("manyAdopted")).toEqual(adopted);
  });

  test("can be let go again, as often as programs fail, and taken over after that", async () => {
    expect(await agents("letGoAndAdopted")).toEqual(adopted);
  });

  const access = { parked: true, beforehand: 0, at: 0, countsHere: true };
  const TEXT = [..."agent"].map((char) => `w1@0=${char.charCodeAt(0).toString(16)}`);

  test("stand at a write until it is served, once", async () => {
    expect(await agents("atOut")).toEqual({ ...access, log: ["w1@0=11"], result: 0 });
  });

  test("get what a read gave, once", async () => {
    const expected = { ...access, log: ["r1@0"], result: 0x5a };
    expect(await agents("atIn")).toEqual(expected);
    expect(await agents("atInTakenBack")).toEqual(expected);
  });

  test("finish a string of accesses", async () => {
    const expected = { ...access, log: TEXT, result: 0x6e656761 };
    expect(await agents("atStringOut")).toEqual(expected);
    expect(await agents("atStringOutTakenBack")).toEqual(expected);
    expect(await agents("atStringIn")).toEqual({
      ...access,
      log: ["r1@0", "r1@0", "r1@0", "r1@0"],
      result: 0x5a5a5a5a,
    });
  });

  test("go on in another VM although their agents were killed, or do not answer", async () => {
    const went = { stood: true, countsHere: true, left: NOTHING, ends: [] };
    expect(await lostAgents("oneKilled")).toEqual(went);
    expect(await lostAgents("allKilled")).toEqual(went);
    expect(await lostAgents("oneStopped")).toEqual(went);
    expect(await lostAgents("killedInTheRest")).toEqual(went);
    expect(await lostAgents("stoppedAtOnce")).toEqual({ countsHere: true });
    const served = { parked: true, atOnce: true, countsHere: true, log: ["w1@0=11"] };
    expect(await lostAgents("killedAtOut")).toEqual(served);
  }, 60_000);

  test("are given a rest before they are held, unless one waits for a device", async () => {
    expect(await lostAgents("restsFirst")).toEqual({ before: 0, after: 1, countsHere: true });
    expect(await lostAgents("parkedAtOut")).toEqual({ parked: true, rested: 0, countsHere: true });
  });

  test("are lost to another program with all agents, which says so, but not to the one that started them", async () => {
    const { error, ...rest } = await lostAgents("killed");
    expect(error).toBe("the agent that ran vCPU 0 has ended, and the vCPU's state with it");
    expect(rest).toEqual({ countsHere: true, processes: 0 });
  });

  test("are not disturbed by signals that are meant for the program", async () => {
    expect(await agents("signalled")).toEqual({ goesOn: true, waits: true, here: 0 });
  });

  test("stay here where they cannot be given away, with nothing left behind", async () => {
    const { error, ...rest } = await agents("noRoom");
    expect(error).toContain('fd "kvm-agent-vcpu" (id 1) is saved already');
    expect(rest).toEqual({ left: NOTHING, countsHere: true });
  });

  test("run on through an exec", async () => {
    expect(await agents("throughExec")).toEqual({
      ranOn: true,
      countsHere: true,
      processes: 0,
      controlBlocks: 0,
      agents: 2,
      ends: [],
    });
  });
});
