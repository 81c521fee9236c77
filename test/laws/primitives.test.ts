import assert from "node:assert/strict";
import { test } from "node:test";
import { primitives } from "@fmmformer/autodiff/extend";
import { obeysLaws } from "./primitive-laws.ts";
import { table } from "./table.ts";

for (const entry of table) obeysLaws(entry);

test("every primitive stands in the table", () => {
  const known = [...primitives.map(({ name }) => name), "call", "scan"];
  assert.deepEqual(table.map(({ primitive }) => primitive).sort(), known.sort());
});
