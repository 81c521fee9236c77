import assert from "node:assert/strict";
import { test } from "node:test";
import { primitives } from "@fmmformer/autodiff/extend";
import { obeysLaws } from "./primitive-laws.ts";
import { elementwiseTable } from "./primitives/elementwise.ts";
import { productTable } from "./primitives/product.ts";
import { programTable } from "./primitives/program.ts";
import { randomTable } from "./primitives/random.ts";
import { reductionTable } from "./primitives/reduction.ts";
import { rowTable } from "./primitives/row.ts";
import { shapeTable } from "./primitives/shape.ts";

const table = [
  ...elementwiseTable,
  ...shapeTable,
  ...reductionTable,
  ...productTable,
  ...rowTable,
  ...randomTable,
  ...programTable,
];

for (const entry of table) obeysLaws(entry);

test("every primitive stands in the table", () => {
  const known = [...primitives.map(({ name }) => name), "call", "scan"];
  assert.deepEqual(table.map(({ primitive }) => primitive).sort(), known.sort());
});
