import assert from "node:assert/strict";
import { test } from "node:test";
import { DataError, decodeListOps, evaluateListOps, listOps, listOpsFiles } from "@fmmformer/models";
import { folder } from "./folder.ts";

const max = "( ( ( ( [MAX 2 ) 9 ) ( ( ( [MIN 4 ) 7 ) ] ) ) ] )\t9";
const sum = "( ( ( [SM 5 ) 8 ) ] )\t3";
const whole = {
  "basic_train.tsv": `Source\tTarget\r\n${max}\r\n${sum}\r\n\r\n7\t7\r\n`,
  "basic_val.tsv": `Source\tTarget\r\n${sum}\r\n`,
  "basic_test.tsv": `Source\tTarget\n${max}\n${sum}`,
};
const open = (files: Record<string, string | Uint8Array> = {}, options: object = {}) =>
  listOpsFiles({ dir: folder({ ...whole, ...files }), cache: null, ...options });

test("listOpsFiles reads the published files as examples of listOps", async () => {
  const task = await open();
  const published = listOps();
  assert.deepEqual(task.examples, { train: 3, validation: 1, test: 2 });
  for (const fact of ["name", "kind", "causal", "vocabulary", "length", "classes"] as const) {
    assert.equal(task[fact], published[fact], fact);
  }
  const seen = [0, 1, 2].map((index) => task.describe(task.example("train", index))).sort();
  assert.deepEqual(seen, ["7 = 7", "[MAX 2 9 [MIN 4 7 ] ] = 9", "[SM 5 8 ] = 3"]);
  const { tokens, mask, labels } = task.example("test", 0);
  assert.equal(decodeListOps(tokens), "[MAX 2 9 [MIN 4 7 ] ]");
  assert.equal(evaluateListOps(tokens), labels[0]);
  assert.equal(
    mask!.reduce((total, one) => total + one),
    8,
  );
  assert.deepEqual([...mask!.subarray(6, 10)], [1, 1, 0, 0]);
});

test("listOpsFiles gives every training list once an epoch, in orders that depend on seed and epoch alone", async () => {
  const lines = Array.from(
    { length: 60 },
    (_, i) => `( ( [MAX ${i % 10} ) ( ( [SM ${Math.floor(i / 10)} ) ] ) ) ] )\t1`,
  );
  const files = { "basic_train.tsv": `Source\tTarget\r\n${lines.join("\r\n")}\r\n` };
  const epoch = async (from: number, seed: number) => {
    const task = await open(files, { seed });
    return Array.from({ length: 60 }, (_, i) => decodeListOps(task.example("train", from + i).tokens));
  };
  const [first, second, other] = [await epoch(0, 1), await epoch(60, 1), await epoch(0, 2)];
  assert.equal(new Set(first).size, 60);
  for (const order of [second, other]) {
    assert.deepEqual(new Set(order), new Set(first));
    assert.notDeepEqual(order, first);
  }
  assert.deepEqual(await epoch(0, 1), first);
});

test("listOpsFiles keeps as many tokens as told", async () => {
  const task = await open({}, { maxLength: 3 });
  assert.equal(task.length, 4);
  assert.deepEqual([...task.example("test", 0).tokens], [12, 3, 10, 0]);
});

test("listOpsFiles refuses what is no list and digit, with file and line", async () => {
  const cases: [string | Uint8Array, RegExp, number | undefined][] = [
    [`${sum}\r\n`, /expected the header "Source\\tTarget", got "\( \( \( \[SM/, 1],
    ["Source\tTarget\r\n7\t7\r\n( ( ( [SM 5 ) 8", /expected a list, a tab and a digit, got no tab/, 3],
    ["Source\tTarget\r\n7\t", /expected a list, a tab and a digit, got ""/, 2],
    ["Source\tTarget\r\n7\t12\r\n", /expected a list, a tab and a digit, got "12"/, 2],
    ["Source\tTarget\r\n7\t7\t7\r\n", /got "7\\t7"/, 2],
    ['Source\tTarget\r\n"( [SM 5 )"\t5\r\n', /listOps: expected one of 0 .*, got " at word 0/, 2],
    [Buffer.concat([Buffer.from("Source\tTarget\n7 "), Buffer.of(0xff), Buffer.from("\t7")]), /got ÿ at word 1/, 2],
    ["Source\tTarget\r\n( )\t7\r\n", /got nothing before the tab/, 2],
    ["Source\tTarget\r\n", /expected lists, got none/, undefined],
    ["", /expected lists, got none/, undefined],
  ];
  for (const [content, message, line] of cases) {
    await assert.rejects(open({ "basic_val.tsv": content }), (error) => {
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, message);
      assert.match(error.file, /basic_val\.tsv$/);
      assert.equal(error.line, line);
      return true;
    });
  }
});

test("listOpsFiles says what files it wants and where to get them, and knows its options", async () => {
  await assert.rejects(
    listOpsFiles({ dir: folder({ "basic_train.tsv": "" }) }),
    /DataError: listOpsFiles: expected basic_train\.tsv, .* got no basic_val\.tsv; unpack lra_release\.gz/,
  );
  await assert.rejects(
    open({}, { maxlength: 3 }),
    /TypeError: listOpsFiles: .*got "maxlength"; did you mean maxLength/,
  );
});
