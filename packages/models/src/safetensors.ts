import { type DType, FmmformerError, type Tensor, tensor } from "@fmmformer/autodiff";

/** A file of tensors that is not what it should be. */
export class SafetensorsError extends FmmformerError {}

/** Tensors by name, and what the file says of them. */
export interface Safetensors {
  readonly tensors: { readonly [name: string]: Tensor };
  readonly metadata: { readonly [key: string]: string };
}

/** What is read; 64-bit integers, which are PyTorch's own, become int32. */
const kinds = { F32: Float32Array, F64: Float64Array, I32: Int32Array, I64: BigInt64Array, BOOL: Uint8Array } as const;

const kindOf: Readonly<Record<DType, keyof typeof kinds>> = {
  float32: "F32",
  float64: "F64",
  int32: "I32",
  bool: "BOOL",
};

/**
 * Read a file of the safetensors format: the length of the header as a little-endian 64-bit number, the header in JSON, the tensors.
 *
 * Nothing in it is trusted: every size and offset is checked before it is used.
 *
 * @param bytes - the whole file
 * @throws SafetensorsError with the tensor and the offset that are wrong
 * @see https://huggingface.co/docs/safetensors
 */
export function parseSafetensors(bytes: Uint8Array): Safetensors {
  const start = 8 + headerLength(bytes);
  const { __metadata__: metadata = {}, ...entries } = header(bytes.subarray(8, start));
  const data = bytes.subarray(start);
  const tensors = Object.entries(entries).map(([name, entry]) => [name, read(name, entry, data)] as const);
  return { tensors: Object.fromEntries(tensors), metadata: metadata as Safetensors["metadata"] };
}

/**
 * Write tensors as a file of the safetensors format, in the order of their names and the widest numbers first, so that every tensor lies
 * at a multiple of its number's size.
 *
 * @returns the parts of the file, one after the other; the tensors' own memory where it can be
 * @throws SafetensorsError when a tensor is called `__metadata__`
 */
export function formatSafetensors({ tensors, metadata }: Safetensors): Uint8Array[] {
  if (Object.hasOwn(tensors, "__metadata__")) {
    throw new SafetensorsError("safetensors: expected tensors with names of their own, got one named __metadata__");
  }
  const width = (name: string): number => tensors[name].data.BYTES_PER_ELEMENT;
  const names = Object.keys(tensors).sort((a, b) => width(b) - width(a) || (a < b ? -1 : 1));
  let end = 0;
  const entries = names.map((name) => {
    const { shape, dtype, data } = tensors[name];
    const start = end;
    end += data.byteLength;
    return [name, { dtype: kindOf[dtype], shape, data_offsets: [start, end] }];
  });
  const text = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) }));
  const head = new Uint8Array(8 + 8 * Math.ceil(text.length / 8)).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(text, 8);
  const bodies = names.map((name) => {
    const { data } = tensors[name];
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  });
  return [head, ...bodies];
}

function headerLength(bytes: Uint8Array): number {
  if (bytes.length < 8) throw new SafetensorsError(`safetensors: expected at least 8 bytes, got ${bytes.length}`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length > bytes.length - 8) {
    throw new SafetensorsError(
      `safetensors: expected a header of ${length} bytes, got ${bytes.length - 8}; the file is cut short`,
    );
  }
  return length;
}

function header(bytes: Uint8Array): { readonly [name: string]: unknown } {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as never;
  } catch (cause) {
    throw new SafetensorsError("safetensors: expected a header in JSON, got something else", { cause });
  }
  throw new SafetensorsError("safetensors: expected a header that is a JSON object, got another value");
}

function read(name: string, entry: unknown, data: Uint8Array): Tensor {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as { [field: string]: unknown };
  if (!(typeof dtype === "string" && Object.hasOwn(kinds, dtype))) {
    throw new SafetensorsError(`safetensors: expected dtype ${Object.keys(kinds).join(", ")} of ${name}, got ${dtype}`);
  }
  const Kind = kinds[dtype as keyof typeof kinds];
  if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
    throw new SafetensorsError(
      `safetensors: expected shape and two data_offsets of ${name}, got ${JSON.stringify(entry)}`,
    );
  }
  const [from, to] = offsets;
  const size = shape.reduce((n, m) => n * m, 1) * Kind.BYTES_PER_ELEMENT;
  if (to > data.length || to - from !== size) {
    throw new SafetensorsError(
      `safetensors: expected ${size} bytes of ${name} in ${data.length}, got offsets ${from} to ${to}`,
    );
  }
  const values = new Kind(new Uint8Array(data.subarray(from, to)).buffer);
  if (values instanceof BigInt64Array)
    return tensor(
      Int32Array.from(values, (x) => short(name, x)),
      { shape },
    );
  if (values instanceof Uint8Array) {
    return tensor(
      values.map((x) => Number(x !== 0)),
      { shape, dtype: "bool" },
    );
  }
  return tensor(values, { shape });
}

function short(name: string, x: bigint): number {
  if (BigInt.asIntN(32, x) === x) return Number(x);
  throw new SafetensorsError(`safetensors: expected integers of ${name} that fit 32 bits, got ${x}`);
}

function isCounts(x: unknown): x is number[] {
  return Array.isArray(x) && x.every((n) => Number.isSafeInteger(n) && n >= 0);
}
