import { CharBackend } from "../char-backend.ts";

/** Takes everything, gives nothing. */
export class NullChardev extends CharBackend {
  protected override readonly filename = "null";

  protected override attach(): void {}

  protected override detach(): void {}

  protected override release(): void {}

  protected override flush(): void {
    this.ring.discard();
  }
}
