/** Takes a piece of output; the next one comes when the promise is fulfilled. */
export type Sink = (chunk: Uint8Array) => void | Promise<void>;

/** The last line is a NUL, the marker, a blank, a number of at most three digits, a line feed. */
const MAX_STATUS_BYTES = 5;

/** How many bytes at the end of `data` may be the beginning of `marker`. */
function heldBack(data: Buffer, marker: Buffer): number {
  for (let from = Math.max(0, data.length - marker.length + 1); from < data.length; from++) {
    if (marker.subarray(0, data.length - from).equals(data.subarray(from))) return data.length - from;
  }
  return 0;
}

/**
 * Passes on an output stream of the box, byte for byte, up to its last line.
 *
 * @param end what the last line begins with, after a NUL: nobody else knows it
 * @returns the exit status that the last line tells; undefined if the stream ended without one
 */
export async function readToStatus(
  source: AsyncIterable<Uint8Array>,
  end: string,
  sink: Sink,
): Promise<number | undefined> {
  const marker = Buffer.from(`\0${end} `);
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    pending = Buffer.concat([pending, chunk]);
    const at = pending.indexOf(marker);
    const output = at >= 0 ? at : pending.length - heldBack(pending, marker);
    if (output > 0) await sink(pending.subarray(0, output));
    pending = pending.subarray(output);
    if (at < 0) continue;
    const status = pending.subarray(marker.length, marker.length + MAX_STATUS_BYTES).toString();
    if (status.includes("\n")) return Number.parseInt(status, 10);
  }
  if (pending.length > 0) await sink(pending);
  return undefined;
}
