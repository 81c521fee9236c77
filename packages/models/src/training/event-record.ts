import { crc32c } from "../files/crc32c.ts";

/** What an event tells TensorBoard: what the file is, that a run begins or goes on, or numbers by their tags. */
export type EventContent = "version" | "start" | { readonly [tag: string]: number };

/** When an event was. */
export interface EventTime {
  /** Steps made, an integer ≥ 0; of "start" the first step that is made from then on */
  readonly step: number;
  /** Seconds since 1970 */
  readonly wallTime: number;
}

/**
 * Format an event as a record of TensorBoard's event files: the length of the message as a little-endian 64-bit number, the message, and
 * behind each its masked check. Event files are such records one after the other, "version" first.
 *
 * Numbers become float32, NaN and ±∞ as they are.
 *
 * @throws RangeError when the step is no integer ≥ 0 / TypeError when the content is another word
 * @see TFRecord, https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
 * @see https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/util/event.proto, and summary.proto in core/framework
 */
export function eventRecord(content: EventContent, { step, wallTime }: EventTime): Uint8Array {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new RangeError(`eventRecord: expected step to be an integer ≥ 0, got ${step}`);
  }
  const event = [...double(1, wallTime), ...integer(2, step), ...contentField(content)];
  const length = little(8, (view) => view.setBigUint64(0, BigInt(event.length), true));
  return Uint8Array.from([...length, ...check(length), ...event, ...check(event)]);
}

function contentField(content: EventContent): number[] {
  if (content === "version") return text(3, "brain.Event:2");
  if (content === "start") return message(7, integer(1, 1));
  if (typeof content !== "object" || content === null) {
    const got = JSON.stringify(content);
    throw new TypeError(`eventRecord: expected "version", "start" or numbers by their tags, got ${got}`);
  }
  const values = Object.entries(content).flatMap(([tag, x]) => message(1, [...text(1, tag), ...float(2, x)]));
  return message(5, values);
}

/** Turned and shifted, since a check of bytes that hold checks is weak. */
function check(bytes: Iterable<number>): Uint8Array {
  const crc = crc32c(bytes);
  return little(4, (view) => view.setUint32(0, ((crc >>> 15) | (crc << 17)) + 0xa282ead8, true));
}

// Fields of protocol buffers: the field's number and the kind of what follows, then that.
// https://protobuf.dev/programming-guides/encoding

const integer = (field: number, x: number): number[] => [field * 8, ...varint(x)];
const double = (field: number, x: number): number[] => [
  field * 8 + 1,
  ...little(8, (view) => view.setFloat64(0, x, true)),
];
const message = (field: number, bytes: readonly number[]): number[] => [
  field * 8 + 2,
  ...varint(bytes.length),
  ...bytes,
];
const text = (field: number, x: string): number[] => message(field, [...new TextEncoder().encode(x)]);
const float = (field: number, x: number): number[] => [
  field * 8 + 5,
  ...little(4, (view) => view.setFloat32(0, x, true)),
];

/** Seven bits a byte, the least first; all but the last byte have the eighth. */
function varint(x: number): number[] {
  return x < 128 ? [x] : [128 + (x % 128), ...varint(Math.floor(x / 128))];
}

function little(size: number, set: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(size);
  set(new DataView(bytes.buffer));
  return bytes;
}
