/**
 * Sets this checkout up, then runs a command in it: `node scripts/bootstrap.mjs COMMAND [ARGUMENT...]`.
 *
 * Runs on a machine that has only Node with npm, or only Bun: plain JavaScript, no dependencies. Finds the Bun that
 * package.json pins (`engines.bun`), or fetches it from the npm registry into node_modules/.cache; links it into
 * node_modules/.bin; installs what bun.lock names; and starts the command with node_modules/.bin first on PATH, so that
 * `#!/usr/bin/env bun` means that Bun. Writes only below node_modules and in the package caches.
 */
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { constants, homedir } from "node:os";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, "node_modules");
const BIN = join(MODULES, ".bin");
const CACHE = join(MODULES, ".cache");
const LOADER = "/lib64/ld-linux-x86-64.so.2";
const OLDEST_NODE = 18;
/** A registry that does not answer is given up after this long. */
const FETCH_LIMIT_MS = 300_000;

/** What the user can do something about: told in one line. */
class SetupError extends Error {}

try {
  checkPlatform();
  const version = JSON.parse(fs.readFileSync(join(ROOT, "package.json"), "utf8")).engines.bun;
  const fetched = join(CACHE, `bun-${version}`, "bun");
  const bun = findBun(version, fetched) ?? fetchBun(version, fetched);
  installPackages(bun);
  linkBun(bun);
  const [command, ...args] = process.argv.slice(2);
  if (command) run(command, args);
} catch (error) {
  if (!(error instanceof SetupError) && !error.syscall) throw error;
  console.error(`vmm: ${error.message}`);
  process.exitCode = 1;
}

function checkPlatform() {
  const { platform, arch, versions } = process;
  if (platform !== "linux" || arch !== "x64") {
    throw new SetupError(`needs Linux on x86-64; this is ${platform} on ${arch}`);
  }
  if (!versions.bun && Number.parseInt(versions.node, 10) < OLDEST_NODE) {
    throw new SetupError(`needs Node ${OLDEST_NODE} or newer, or Bun; this is Node ${versions.node}`);
  }
  if (!fs.existsSync(LOADER)) throw new SetupError(`needs a Linux with glibc; ${LOADER} is not there`);
}

/** The pinned Bun if this machine has it: the one that runs this file, one on PATH, one fetched before. */
function findBun(version, fetched) {
  if (process.versions.bun === version) return fs.realpathSync(process.execPath);
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder && folder !== BIN);
  return [...folders.map((folder) => join(folder, "bun")), fetched]
    .filter((file) => fs.existsSync(file))
    .map((file) => fs.realpathSync(file))
    .find((file) => spawnSync(file, ["--version"], { encoding: "utf8" }).stdout?.trim() === version);
}

/**
 * Fetches Bun's package for this platform with the package manager that is here. The package holds the executable
 * itself, so no install script has to run.
 */
function fetchBun(version, file) {
  const wanted = `@oven/bun-linux-x64@${version}`;
  console.error(`vmm: fetching Bun ${version} (${wanted}) from the npm registry`);
  const staging = `${dirname(file)}.${process.pid}`;
  fs.mkdirSync(staging, { recursive: true });
  try {
    fs.writeFileSync(join(staging, "package.json"), "{}\n");
    const [command, ...args] = process.versions.bun ? bunAdd(wanted) : npmInstall(wanted, staging);
    const result = install(command, args, staging);
    if (result.error?.code === "ENOENT") throw new SetupError(`needs npm to fetch ${wanted}: none on PATH`);
    if (result.failed) throw new SetupError(`could not fetch ${wanted}: ${result.reason}`);
    fs.mkdirSync(dirname(file), { recursive: true });
    fs.renameSync(join(staging, "node_modules/@oven/bun-linux-x64/bin/bun"), file);
  } finally {
    fs.rmSync(staging, { recursive: true, force: true });
  }
  return file;
}

function bunAdd(wanted) {
  return [process.execPath, "add", "--no-save", "--ignore-scripts", wanted];
}

function npmInstall(wanted, prefix) {
  const retries = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"];
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--no-save", "--no-package-lock"];
  return ["npm", "install", "--prefix", prefix, "--ignore-scripts", ...retries, ...quiet, wanted];
}

/**
 * What needs `bun`, scripts with a shebang above all, finds this one through .bin. After every installation: the first
 * one makes that folder anew.
 */
function linkBun(bun) {
  fs.mkdirSync(BIN, { recursive: true });
  const target = bun.startsWith(MODULES) ? relative(BIN, bun) : bun;
  for (const name of ["bun", "bunx"]) {
    const link = join(BIN, name);
    if (fs.existsSync(link) && fs.readlinkSync(link) === target) continue;
    fs.rmSync(link, { force: true });
    fs.symlinkSync(target, link);
  }
}

function installPackages(bun) {
  const { failed, reason } = install(bun, ["install", "--frozen-lockfile"], ROOT);
  if (failed) throw new SetupError(`could not install the packages that bun.lock names: ${reason}`);
}

/** Runs a package manager to its end, silent unless it fails; the reason is its own error on one line. */
function install(command, args, cwd) {
  const env = { ...process.env, ...cacheEnvironment() };
  const result = spawnSync(command, args, { cwd, env, encoding: "utf8", timeout: FETCH_LIMIT_MS });
  const { error, status, stdout, stderr } = result;
  const reason = error?.code === "ETIMEDOUT" ? "the registry did not answer in time" : error?.message;
  return { error, failed: status !== 0, reason: reason ?? oneLine(`${stderr}\n${stdout}`) };
}

/** The caches are where the user has them, or inside the clone if that place cannot be written to. */
function cacheEnvironment() {
  const { npm_config_cache, BUN_INSTALL_CACHE_DIR, BUN_INSTALL } = process.env;
  const npm = npm_config_cache ?? join(homedir(), ".npm");
  const bun = BUN_INSTALL_CACHE_DIR ?? join(BUN_INSTALL ?? join(homedir(), ".bun"), "install", "cache");
  return {
    ...(isWritable(npm) ? {} : { npm_config_cache: join(CACHE, "npm") }),
    ...(isWritable(bun) ? {} : { BUN_INSTALL_CACHE_DIR: join(CACHE, "bun") }),
  };
}

/** Whether this folder, or the nearest one above it that exists, can be written to. */
function isWritable(folder) {
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    return true;
  } catch (error) {
    return error.code === "ENOENT" && folder !== dirname(folder) && isWritable(dirname(folder));
  }
}

/** What npm or Bun printed about a failure, on one line. */
function oneLine(output) {
  const lines = output.split("\n").map((line) => line.trim());
  const downloads = lines.flatMap((line) => [...line.matchAll(/^error: failed to download (\S+): (.+)$/g)]);
  if (downloads.length > 0) {
    return `${downloads.map(([, name]) => name).join(", ")}: ${downloads[0][2]}`;
  }
  const bun = lines.find((line) => line.startsWith("error: "));
  if (bun) return bun.slice("error: ".length);
  const npm = lines.filter((line) => line.startsWith("npm error ")).map((line) => line.slice(10));
  return (
    npm.find((line) => !/^(code|syscall|errno|path|dest) /.test(line)) ??
    lines.find(Boolean) ??
    "no reason given"
  );
}

/** Runs the command in this process's place, as far as that can be done: its stdio, its signals, its exit status. */
function run(command, args) {
  const env = { ...process.env, PATH: [BIN, process.env.PATH].filter(Boolean).join(delimiter) };
  const child = spawn(command, args, { stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    // A terminal sends Ctrl-C to the child too.
    process.on(signal, () => (signal === "SIGINT" && process.stdin.isTTY ? undefined : child.kill(signal)));
  }
  child.on("error", (error) => {
    console.error(`vmm: could not run ${command}: ${error.message}`);
    process.exitCode = 127;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}
