import type { Entry } from "./entry.ts";
import { elementwiseTable } from "./primitives/elementwise.ts";
import { productTable } from "./primitives/product.ts";
import { programTable } from "./primitives/program.ts";
import { randomTable } from "./primitives/random.ts";
import { reductionTable } from "./primitives/reduction.ts";
import { rowTable } from "./primitives/row.ts";
import { shapeTable } from "./primitives/shape.ts";

/** Every primitive, with uses of it. */
export const table: readonly Entry[] = [
  ...elementwiseTable,
  ...shapeTable,
  ...reductionTable,
  ...productTable,
  ...rowTable,
  ...randomTable,
  ...programTable,
];
