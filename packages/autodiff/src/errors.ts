/** What every error of this project's own extends, so that one `instanceof` tells ours from the platform's. */
export class FmmformerError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A shape that an op cannot take. */
export class ShapeError extends FmmformerError {}

/** A dtype that an op cannot take. */
export class DTypeError extends FmmformerError {}

/** A gradient that disagrees with differences of the function, or a pullback that is not linear. */
export class GradientError extends FmmformerError {}

/** The first NaN that a primitive made, found by `debugNaNs`. */
export class NaNError extends FmmformerError {}

/** A tracer used after the transformation that made it had ended. */
export class LeakedTracerError extends FmmformerError {}

/** A tracer whose numbers were asked for while only its shape is known. */
export class AbstractValueError extends FmmformerError {}

/** `(8, 4)`: a shape as NumPy writes it. */
export function showShape(shape: readonly number[]): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
}
