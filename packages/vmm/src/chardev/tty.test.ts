import { describe, expect, test } from "bun:test";
import { close, O_CLOEXEC, O_NOCTTY, O_RDWR, open, pipe } from "@vmm/libc";
import { gcc, probeConstants, probeLayouts } from "../../../libc/test/c-probe.ts";
import { openPty, ptyPath } from "./pty.ts";
import { rawSettings, setTtySettings, ttySettings } from "./tty.ts";
import * as uapi from "./uapi/tty.ts";

describe.skipIf(gcc === null)("the C headers agree (needs gcc)", () => {
  const headers = ["asm/termbits.h", "asm/ioctls.h"];
  const requests = Object.values(uapi).filter((value) => typeof value === "object" && "number" in value);

  test("on struct termios", () => {
    expect(probeLayouts([uapi.Termios], { headers })).toEqual([]);
  });

  test("on the flags", () => {
    const flags = Object.fromEntries(Object.entries(uapi).filter(([, value]) => typeof value === "number"));
    expect(Object.keys(flags)).toHaveLength(19);
    expect(probeConstants(flags as Record<string, number>, { headers })).toEqual([]);
  });

  test("on the requests", () => {
    expect(requests).toHaveLength(5);
    const names = Object.fromEntries(requests.map(({ name, number }) => [name, number]));
    expect(probeConstants(names, { headers })).toEqual([]);
  });
});

describe("raw mode", () => {
  test("takes line editing and echo away, and leaves the rest", () => {
    const master = openPty();
    const terminal = open(ptyPath(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    try {
      const before = ttySettings(terminal);
      if (!before) throw new Error("not a terminal");
      before.c_lflag |= uapi.ICANON | uapi.ECHO | uapi.ISIG;
      before.c_iflag |= uapi.ICRNL | uapi.IXON;
      before.c_oflag |= uapi.OPOST;
      setTtySettings(terminal, before);
      setTtySettings(terminal, rawSettings(before, { signals: true, outputProcessing: true }));
      const raw = ttySettings(terminal);
      if (!raw) throw new Error("not a terminal");
      expect(raw.c_lflag & (uapi.ICANON | uapi.ECHO)).toBe(0);
      expect(raw.c_lflag & uapi.ISIG).toBe(uapi.ISIG);
      expect(raw.c_iflag & (uapi.ICRNL | uapi.IXON)).toBe(0);
      expect(raw.c_oflag).toBe(before.c_oflag);
      expect([raw.c_cc[uapi.VMIN], raw.c_cc[uapi.VTIME]]).toEqual([1, 0]);
      const blind = rawSettings(before, { signals: false, outputProcessing: false });
      expect(blind.c_lflag & uapi.ISIG).toBe(0);
      expect(blind.c_oflag & uapi.OPOST).toBe(0);
      setTtySettings(terminal, before);
      expect(ttySettings(terminal)?.$bytes).toEqual(before.$bytes);
    } finally {
      close(terminal);
      close(master);
    }
  });

  test("is not for what is no terminal", () => {
    const [from, to] = pipe();
    expect(ttySettings(from)).toBeUndefined();
    close(from);
    close(to);
  });
});
