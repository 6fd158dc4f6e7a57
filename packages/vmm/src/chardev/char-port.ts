/**
 * The guest side of a chardev: what a serial port sees of it. Both directions are rings in the state arena, so any vCPU
 * thread can use them, what was printed last is kept as history, and nothing typed is lost by a live update.
 *
 * All calls are made with the device lock held.
 */
export interface CharPort {
  /** False while the host side has not yet taken what was written: the port must report itself busy. */
  canWrite(): boolean;
  /** Hands a byte to the host side. Dropped where `canWrite()` is false. */
  write(byte: number): void;
  /** The next received byte, or -1. */
  read(): number;
  /** Received bytes that wait to be read. */
  readable(): number;
  /** Registers what the port does in the main thread when bytes came in or room came back (lock held). */
  onEvent(handler: () => void): void;
}
