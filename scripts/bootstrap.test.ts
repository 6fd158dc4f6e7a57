import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readdir, realpath, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };

const node = Bun.which("node");
const npm = Bun.which("npm");
/** Under `bun run` on a machine without Node, "node" is Bun itself. */
const hasNode = node !== null && !(await realpath(node)).includes("bun");
const NOWHERE = "http://127.0.0.1:9/";

let root = "";

/** A checkout without packages of its own, whose only code is the script. */
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "vmm-bootstrap-"));
  await Bun.write(join(root, "scripts/bootstrap.mjs"), Bun.file(join(import.meta.dir, "bootstrap.mjs")));
  await pin(Bun.version);
});

afterEach(() => rm(root, { recursive: true }));

async function pin(version: string): Promise<void> {
  await Bun.write(
    join(root, "package.json"),
    JSON.stringify({ name: "checkout", engines: { bun: version } }),
  );
}

/** A folder for PATH with these programs and no others. */
async function pathOf(programs: Record<string, string | null>): Promise<string> {
  const folder = join(root, "path");
  await mkdir(folder);
  for (const [name, target] of Object.entries(programs)) {
    if (target) await symlink(await realpath(target), join(folder, name));
  }
  return folder;
}

async function bootstrap(runtime: string, command: string[], env: Record<string, string>) {
  const argv = [runtime, join(root, "scripts/bootstrap.mjs"), ...command];
  const home = join(root, "home");
  const child = Bun.spawn(argv, {
    env: { HOME: home, npm_config_registry: NOWHERE, BUN_CONFIG_REGISTRY: NOWHERE, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, stdout, stderr };
}

test("one version of Bun is pinned, and its types are of the same version", () => {
  expect(manifest.engines.bun).toBe(Bun.version);
  expect(manifest.workspaces.catalog["bun-types"]).toBe(manifest.engines.bun);
});

test("a script with Bun's shebang runs by the pinned Bun, with its arguments, output and exit status", async () => {
  const script = join(root, "script.ts");
  await Bun.write(
    script,
    "#!/usr/bin/env bun\nconsole.log(Bun.version, ...process.argv.slice(2));\nprocess.exit(7);",
  );
  await chmod(script, 0o755);
  const PATH = await pathOf({ env: Bun.which("env") });
  const result = await bootstrap(process.execPath, [script, "a b", "c"], { PATH });
  expect(result).toEqual({ status: 7, stdout: `${Bun.version} a b c\n`, stderr: "" });
});

test("a command ended by a signal gives the exit status that a shell gives", async () => {
  const PATH = await pathOf({ sh: Bun.which("sh") });
  expect((await bootstrap(process.execPath, ["sh", "-c", "kill -TERM $$"], { PATH })).status).toBe(143);
});

test("a command that is not there is told in one line", async () => {
  const PATH = await pathOf({});
  const { status, stderr } = await bootstrap(process.execPath, ["no-such-command"], { PATH });
  expect(status).toBe(127);
  expect(stderr).toMatch(/^vmm: could not run no-such-command: .+\n$/);
});

test("another Bun fetches the pinned one, and tells in one line that it could not", async () => {
  await pin("1.0.0");
  const { status, stderr } = await bootstrap(process.execPath, ["true"], { PATH: await pathOf({}) });
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^vmm: fetching Bun 1\.0\.0 .+\nvmm: could not fetch @oven\/bun-linux-x64@1\.0\.0: .+\n$/,
  );
  expect(await readdir(join(root, "node_modules/.cache"))).not.toContain(expect.stringMatching(/^bun-/));
});

test("packages that cannot be fetched are named in one line", async () => {
  const dependencies = { "some-package": "1.0.0" };
  const pinned = { name: "checkout", engines: { bun: Bun.version }, dependencies };
  await Bun.write(join(root, "package.json"), JSON.stringify(pinned));
  await Bun.write(
    join(root, "bun.lock"),
    JSON.stringify({
      lockfileVersion: 1,
      workspaces: { "": { name: "checkout", dependencies } },
      packages: { "some-package": ["some-package@1.0.0", "", {}, "sha512-AAAA"] },
    }),
  );
  const { status, stderr } = await bootstrap(process.execPath, ["true"], { PATH: await pathOf({}) });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^vmm: could not install the packages that bun\.lock names: .*some-package.*\n$/);
});

describe.skipIf(!hasNode || npm === null)("with Node (needs node and npm)", () => {
  test("a Bun on PATH of the pinned version is used, and nothing is fetched", async () => {
    const PATH = await pathOf({ bun: process.execPath, env: Bun.which("env"), sh: Bun.which("sh") });
    const result = await bootstrap(`${node}`, ["bun", "--version"], { PATH });
    expect(result).toEqual({ status: 0, stdout: `${Bun.version}\n`, stderr: "" });
  });

  test("without npm, the package that it would fetch is named", async () => {
    const { status, stderr } = await bootstrap(`${node}`, ["true"], { PATH: await pathOf({}) });
    expect(status).toBe(1);
    expect(stderr).toEndWith(`vmm: needs npm to fetch @oven/bun-linux-x64@${Bun.version}: none on PATH\n`);
  });

  test("without a network, the package that npm could not fetch is named in one line", async () => {
    const PATH = await pathOf({ node, npm, env: Bun.which("env"), sh: Bun.which("sh") });
    const { status, stderr } = await bootstrap(`${node}`, ["true"], { PATH, npm_config_fetch_retries: "0" });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^vmm: fetching Bun .+\nvmm: could not fetch @oven\/bun-linux-x64@\S+: .*ECONNREFUSED.*\n$/,
    );
  });
});
