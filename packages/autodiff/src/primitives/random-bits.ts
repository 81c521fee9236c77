import { apply, definePrimitive, type Primitive } from "../bind.ts";
import { ShapeError, showShape } from "../errors.ts";
import { sizeOf } from "../shape.ts";
import { broadcastTo } from "./broadcast.ts";

interface RandomBitsParams {
  readonly shape: readonly number[];
  /** How many high bits of each word to keep, as a number ≥ 0; 32 keeps the sign too. */
  readonly bits: number;
}

/**
 * Random words: element i of stream s under key (k₀, k₁) is the first word of Threefry-2x32-20 of the counter (i, s), its high `bits` bits.
 *
 * Of 16 bits or fewer a counter makes four elements: i is the high `bits` bits of quarter i mod 4 of counter (⌊i / 4⌋, s), where quarters are
 * the high and the low half of the first word, then of the second.
 *
 * Inputs are the key, (…, 2), and the stream, (…): leading axes give one draw each, in front of `shape`.
 *
 * @see Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, https://doi.org/10.1145/2063384.2063405
 */
export const randomBitsPrimitive: Primitive<RandomBitsParams> = definePrimitive<RandomBitsParams>({
  name: "randomBits",
  shape([key, stream], { shape }) {
    if (
      key.dtype !== "int32" ||
      key.shape[key.shape.length - 1] !== 2 ||
      key.shape.length !== stream.shape.length + 1
    ) {
      throw new ShapeError(
        `random: expected a key of shape (2,) and dtype int32, got ${showShape(key.shape)} ${key.dtype}; make one with random.key(seed)`,
      );
    }
    return { shape: [...stream.shape, ...shape], dtype: "int32", weak: false };
  },
  value(out, [key, stream], { shape, bits }) {
    const count = sizeOf(shape);
    for (let draw = 0; draw < stream.size; draw++) {
      const [k0, k1, s] = [key.data[2 * draw], key.data[2 * draw + 1], stream.data[draw]];
      const from = draw * count;
      if (bits <= 16) {
        for (let i = 0; i < count; i += 4) {
          const [first, second] = threefry(k0, k1, i / 4, s);
          const quarters = [first >>> 16, first & 0xffff, second >>> 16, second & 0xffff];
          for (let q = 0; q < 4 && i + q < count; q++) out[from + i + q] = quarters[q] >>> (16 - bits);
        }
        continue;
      }
      for (let i = 0; i < count; i++) {
        const [word] = threefry(k0, k1, i, s);
        out[from + i] = bits === 32 ? word : word >>> (32 - bits);
      }
    }
  },
  batch(size, [key, stream], [keys, streams], params) {
    return apply(
      randomBitsPrimitive,
      [
        keys ? key : broadcastTo(key, [size, ...key.shape]),
        streams ? stream : broadcastTo(stream, [size, ...stream.shape]),
      ],
      params,
    );
  },
  show: ({ shape, bits }) => `${showShape(shape)} of ${bits} bits`,
});

const rotations = [13, 15, 26, 6, 17, 29, 16, 24];

/** The two words that twenty rounds make of a counter; int32 arithmetic wraps as uint32 does. */
export function threefry(k0: number, k1: number, c0: number, c1: number): [first: number, second: number] {
  const keys = [k0, k1, k0 ^ k1 ^ 0x1bd11bda];
  let x = (c0 + k0) | 0;
  let y = (c1 + k1) | 0;
  for (let round = 0; round < 20; round++) {
    const r = rotations[round % 8];
    x = (x + y) | 0;
    y = ((y << r) | (y >>> (32 - r))) ^ x;
    if (round % 4 === 3) {
      const turn = (round + 1) / 4;
      x = (x + keys[turn % 3]) | 0;
      y = (y + keys[(turn + 1) % 3] + turn) | 0;
    }
  }
  return [x, y];
}
