/**
 * A device on an 8-bit bus: an access wider than a byte is a run of byte accesses at rising offsets, as the ISA bridge
 * makes it. Offsets past the device's last register read as all ones and drop what is written, as nobody answers there.
 */
import type { BusTarget } from "../bus/bus.ts";

export abstract class ByteTarget implements BusTarget {
  protected abstract readByte(offset: number): number;
  protected abstract writeByte(offset: number, value: number): void;

  read(offset: number, size: number): number {
    let value = this.readByte(offset);
    for (let i = 1; i < size; i++) value |= this.readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }
}
