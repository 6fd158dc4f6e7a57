#!/usr/bin/env bun
/**
 * The program `vmm`. It runs the command from a bundle: `vmm start` is on the way to a running guest, and takes half the
 * time from one file.
 */
import { resolveScript } from "@vmm/vmm/image/resolve-image.ts";

const { runCli } = await import(await resolveScript("cli", `${import.meta.dir}/cli.ts`));
process.exitCode = await runCli(process.argv.slice(2));
