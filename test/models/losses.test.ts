import assert from "node:assert/strict";
import { test } from "node:test";
import { tensor } from "@fmmformer/autodiff";
import { accuracy, crossEntropy } from "@fmmformer/models";

const int = (values: number[] | number[][]) => tensor(values, { dtype: "int32" });

test("accuracy is the share of rows whose largest logit is the label's", () => {
  const logits = tensor([
    [1, 2, 0],
    [3, 2, 0],
    [0, 2, 5],
    [0, 2, 1],
  ]);
  assert.equal(accuracy(logits, { labels: int([1, 1, 2, 1]) }).item(), 0.75);
});

test("tokens that do not count change neither loss nor accuracy", () => {
  const logits = tensor([
    [
      [9, 0],
      [0, 9],
      [0, 0],
    ],
    [
      [0, 9],
      [9, 0],
      [1, 0],
    ],
  ]);
  const weights = tensor([
    [1, 0, 0],
    [1, 1, 0],
  ]);
  const [a, b] = [
    int([
      [0, 0, 0],
      [0, 0, 0],
    ]),
    int([
      [0, 1, 1],
      [0, 0, 1],
    ]),
  ];
  assert.ok(Math.abs(accuracy(logits, { labels: a, weights }).item() - 2 / 3) < 1e-6);
  assert.equal(accuracy(logits, { labels: a, weights }).item(), accuracy(logits, { labels: b, weights }).item());
  assert.equal(
    crossEntropy(logits, { labels: a, weights }).item(),
    crossEntropy(logits, { labels: b, weights }).item(),
  );
  const expected = (2 * Math.log(1 + Math.exp(-9)) + 9 + Math.log(1 + Math.exp(-9))) / 3;
  assert.ok(Math.abs(crossEntropy(logits, { labels: a, weights }).item() - expected) < 1e-6);
  const none = tensor([
    [0, 0, 0],
    [0, 0, 0],
  ]);
  assert.equal(crossEntropy(logits, { labels: a, weights: none }).item(), 0);
  assert.equal(accuracy(logits, { labels: a, weights: none }).item(), 0);
});
