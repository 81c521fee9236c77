import { ShapeError } from "@fmmformer/autodiff";

/** Axes by name, slowest first, as in `{ z: 6, i: 128, t: 11 }`: at most three, which is what a gpu.js thread has. */
export type Axes = Readonly<Record<string, number>>;

/**
 * A gpu.js kernel before it is built: plain data, with its sizes as literals in the body, so that equal data is the
 * same kernel and may share what was built.
 *
 * The body is the inside of one JavaScript function. It runs once for each element of the output, finds its place in
 * variables named after the output's axes, reads inputs as `q[z][i][c]` and returns the element. Indexing axis by axis
 * stays exact where a flat index would pass 2²⁴, beyond which webasm and webgpu round a stored integer to float32.
 * A read out of range is undefined, NaN or a trap, depending on the mode: bodies guard them with `if`.
 *
 * Limits: axes below 2²⁴; in webgpu, with a device's default limits, a slowest of three axes up to 65,535, the others up
 * to 524,280, and 128 MiB an array; in webgl2 as many numbers an array as a texture has texels, 2²⁶ to 2²⁸.
 */
export interface Kernel {
  readonly name: string;
  readonly inputs: Readonly<Record<string, Axes>>;
  readonly output: Axes;
  readonly body: string;
}

/**
 * Writes the function that gpu.js compiles:
 *
 *     function (q, k) { const t = this.thread.x; const i = this.thread.y; const z = this.thread.z; … }
 *
 * A string rather than a function, because gpu.js reads a function's text, which transpilers and minifiers rewrite.
 */
export function kernelSource({ inputs, output, body }: Kernel): string {
  const places = Object.keys(output)
    .reverse()
    .map((axis, place) => `const ${axis} = this.thread.${"xyz"[place]};`);
  return `function (${Object.keys(inputs).join(", ")}) {\n${places.join("\n")}\n${body}\n}`;
}

/** The lengths as gpu.js wants them, fastest first. */
export function threadSizes(axes: Axes): [number, number, number] {
  return Object.values(axes).reverse() as [number, number, number];
}

/** How many numbers an array of these axes has. */
export function sizeOf(axes: Axes): number {
  return Object.values(axes).reduce((size, length) => size * length, 1);
}

/**
 * Pairs the kernel's arrays with their axes, in the order of its arguments.
 *
 * @throws RangeError when a length is no integer in [1, 2²⁴); ShapeError when an array is missing or of another size
 */
export function orderInputs(
  { name, inputs, output }: Kernel,
  arrays: Readonly<Record<string, Float32Array | undefined>>,
): { array: Float32Array; axes: Axes }[] {
  for (const axes of [...Object.values(inputs), output]) {
    for (const [axis, length] of Object.entries(axes)) {
      if (!Number.isInteger(length) || length < 1 || length >= 2 ** 24) {
        throw new RangeError(`${name}: expected an integer in [1, 2^24) for axis ${axis}, got ${length}`);
      }
    }
  }
  return Object.entries(inputs).map(([input, axes]) => {
    const array = arrays[input];
    if (array?.length === sizeOf(axes)) return { array, axes };
    const lengths = Object.entries(axes).map(([axis, length]) => `${axis}=${length}`);
    throw new ShapeError(
      `${name}: expected ${input} (${lengths.join(", ")}) of ${sizeOf(axes)} numbers, got ${array?.length ?? "none"}`,
    );
  });
}
