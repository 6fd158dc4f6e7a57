/** A saved state, readably. */
import type { DecodedState, SavedRecord, StateHeader } from "@vmm/cpr";
import { WIDTH } from "../command/text.ts";
import { fieldValue, plainValue, shownValue } from "./field-values.ts";

function headerLines(header: StateHeader): string[] {
  const stopped = new Date(header.stoppedRealtimeNs / 1e6).toISOString();
  const machine = Object.entries(header.machine).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
  return [
    `written by  vmm ${header.writer}, mode ${header.mode}`,
    `machine     ${machine.join(", ")}`,
    `stopped     ${stopped}; the guest ${header.running ? "ran" : "did not run"}`,
  ];
}

function recordLines(record: SavedRecord): string[] {
  const { name, kind, version, compat, fields, data } = record;
  const loads = compat === version ? "" : `, loads from version ${compat} on`;
  const column = Math.min(28, Math.max(0, ...fields.map((field) => field.name.length)) + 4);
  return [
    "",
    `${name}: ${kind} version ${version}${loads}, ${data.length} bytes`,
    ...fields.map((field) => {
      const value = shownValue(fieldValue(record, field), WIDTH - column);
      return `  ${field.name}`.padEnd(column) + value;
    }),
  ];
}

export function stateLines({ header, records }: DecodedState): string[] {
  return [...headerLines(header), ...records.flatMap(recordLines)];
}

/** The state as a value for JSON: 64-bit numbers as text, bytes as hex. */
export function stateJson({ header, records }: DecodedState) {
  return {
    header,
    records: records.map((record) => ({
      name: record.name,
      kind: record.kind,
      version: record.version,
      compat: record.compat,
      fields: Object.fromEntries(
        record.fields.map((field) => [field.name, plainValue(fieldValue(record, field))]),
      ),
    })),
  };
}
