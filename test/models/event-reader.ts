import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { MetricsLine } from "@fmmformer/models";

/** An event as a reader finds it. */
export interface ReadEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly version?: string;
  /** 1: a run begins or goes on */
  readonly session?: number;
  readonly values: readonly (readonly [tag: string, value: number])[];
}

/** Numbers by tag and step. */
export type Told = ReadonlyMap<string, number>;

/** The names of the event files in a folder, as TensorBoard finds and orders them. */
export const eventFilesOf = (out: string): string[] =>
  readdirSync(out)
    .filter((name) => name.includes("tfevents"))
    .sort();

/** CRC-32C as bits that go, the least of each byte first, through a register that is turned round at the end. */
export function castagnoli(bytes: Uint8Array): number {
  let register = -1;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const out = (register >>> 31) ^ ((byte >> bit) & 1);
      register = (register << 1) ^ (out * 0x1edc6f41);
    }
  }
  return Number.parseInt([...(~register >>> 0).toString(2).padStart(32, "0")].reverse().join(""), 2);
}

/** All records of an event file, or of some bytes, each of them checked. */
export function parseEvents(file: Uint8Array): ReadEvent[] {
  const bytes = Buffer.from(file);
  const events: ReadEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = Number(bytes.readBigUInt64LE(at));
    assert.equal(unmasked(bytes.readUInt32LE(at + 8)), castagnoli(bytes.subarray(at, at + 8)));
    const body = bytes.subarray(at + 12, at + 12 + size);
    assert.equal(unmasked(bytes.readUInt32LE(at + 12 + size)), castagnoli(body));
    events.push(parseEvent(body));
    at += size + 16;
  }
  return events;
}

/**
 * What TensorBoard 2.21.0 shows of a run with `--load_fast=false`: where a file says that the run goes on, what came before of this step and
 * later ones is dropped; the first time that a file of the run says so counts for nothing. `fast` is the default, which drops before each
 * value those of its tag of the same step and later ones, and nothing else.
 */
export function shownOf(out: string, { fast = false }: { readonly fast?: boolean } = {}): Told {
  const shown = new Map<string, number>();
  const drop = (from: number, of?: string): void => {
    for (const [tag, step] of [...shown.keys()].map((key) => key.split(" "))) {
      if (Number(step) >= from && (of === undefined || of === tag)) shown.delete(`${tag} ${step}`);
    }
  };
  let starts = 0;
  for (const name of eventFilesOf(out)) {
    for (const { step, session, values } of parseEvents(readFileSync(join(out, name)))) {
      if (session === 1 && starts++ > 0 && !fast) drop(step);
      for (const [tag, value] of values) {
        const key = `${tag} ${step}`;
        if (fast) drop(step, tag);
        else if (shown.has(key)) assert.equal(value, shown.get(key), `${key} is told twice, and not the same`);
        shown.set(key, value);
      }
    }
  }
  return shown;
}

/** What metrics tell, in float32 as event files have it. */
export function toldBy(lines: readonly MetricsLine[]): Told {
  const values = lines.flatMap(({ kind, step, ...line }) =>
    Object.entries(line)
      .filter(([name]) => name !== "seconds")
      .map(([name, x]) => [`${kind === "step" ? "train" : kind}/${name} ${step}`, Math.fround(x)] as const),
  );
  return new Map(values);
}

const unmasked = (masked: number): number => {
  const turned = (masked - 0xa282ead8) >>> 0;
  return ((turned >>> 17) | (turned << 15)) >>> 0;
};

function parseEvent(bytes: Buffer): ReadEvent {
  const all = fieldsOf(bytes);
  const one = (field: number) => all.find(([of]) => of === field)?.[1];
  const [version, summary, session] = [one(3), one(5), one(7)] as (Buffer | undefined)[];
  return {
    wallTime: (one(1) as Buffer).readDoubleLE(),
    step: Number(one(2)),
    ...(version && { version: version.toString() }),
    ...(session && { session: Number(new Map(fieldsOf(session)).get(1)) }),
    values: summary ? fieldsOf(summary).map(([, value]) => parseValue(value as Buffer)) : [],
  };
}

function parseValue(bytes: Buffer): [tag: string, value: number] {
  const fields = new Map(fieldsOf(bytes));
  return [String(fields.get(1)), (fields.get(2) as Buffer).readFloatLE()];
}

/** The fields of a protocol buffers message: integers, and the bytes of all others. */
function fieldsOf(bytes: Buffer): [field: number, value: bigint | Buffer][] {
  const fields: [number, bigint | Buffer][] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const [field, kind] = [Number(bytes[at] >> 3), bytes[at++] & 7];
    if (kind === 0) fields.push([field, varint()]);
    else {
      const size = kind === 1 ? 8 : kind === 5 ? 4 : Number(varint());
      assert.ok(at + size <= bytes.length, `field ${field} ends with its message`);
      fields.push([field, bytes.subarray(at, at + size)]);
      at += size;
    }
  }
  return fields;
}
