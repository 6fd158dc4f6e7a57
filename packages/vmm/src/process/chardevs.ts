/** The host sides of the machine's serial ports. */
import { reasonOf } from "@vmm/cpr";
import { type Chardev, type CharRing, openChardev } from "../chardev/index.ts";
import type { ChardevConfig } from "../config/vm-config.ts";
import type { Machine } from "../machine/machine.ts";
import type { Reactor } from "../reactor/index.ts";

/** What one that does not open is replaced by: the guest may write on, and nobody hears it. */
const nothing = ({ id }: ChardevConfig): ChardevConfig => ({ id, backend: "null" });

export interface ChardevsOptions {
  readonly machine: Machine;
  readonly reactor: Reactor;
  /** The guest came, or comes, from elsewhere. */
  readonly incoming: boolean;
}

export class Chardevs {
  readonly all: readonly Chardev[];
  readonly #list: Chardev[];
  readonly #open: (config: ChardevConfig) => Chardev;
  readonly #configs: readonly ChardevConfig[];

  /** @param guestIsHere Nobody else could run it any more: it is worth more than what it talks to. */
  constructor({ machine, reactor, incoming }: ChardevsOptions, guestIsHere: boolean) {
    const { config, fds, host } = machine;
    this.#configs = config.chardevs;
    this.#open = (chardev) =>
      openChardev(chardev, host.rings.get(chardev.id) as CharRing, {
        reactor,
        fds,
        lock: host.lock,
        folder: config.folder,
        incoming,
      });
    this.#list = this.#configs.map((chardev) =>
      orElse(
        guestIsHere,
        chardev,
        () => this.#open(chardev),
        () => this.#open(nothing(chardev)),
      ),
    );
    this.all = this.#list;
  }

  /** Starts all, once the machine's state is in place. @param guestIsHere As for the constructor. */
  start(guestIsHere: boolean): void {
    this.#configs.forEach((config, i) => {
      orElse(
        guestIsHere,
        config,
        () => this.#list[i]?.start(),
        () => this.#replace(i, config),
      );
    });
  }

  #replace(index: number, config: ChardevConfig): void {
    const chardev = this.#open(nothing(config));
    this.#list[index] = chardev;
    chardev.start();
  }
}

/** Does the second where the first fails and the guest is here; the log tells of it. */
function orElse<T>(guestIsHere: boolean, { id }: ChardevConfig, first: () => T, second: () => T): T {
  try {
    return first();
  } catch (error) {
    if (!guestIsHere) throw error;
    console.error(`vmm: the guest runs on without chardev "${id}": ${reasonOf(error)}`);
    return second();
  }
}
