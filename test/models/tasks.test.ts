import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import {
  associativeRecall,
  copy,
  decodeListOps,
  defineTask,
  digits,
  type Example,
  encodeListOps,
  evaluateListOps,
  inspectTask,
  listOps,
  listOpsSizes,
  type Split,
  switchBoard,
  type Task,
} from "@fmmformer/models";
import fc from "fast-check";

const smallLists = listOpsSizes.small;
const makers: Record<string, (seed: number) => Task> = {
  digits: (seed) => digits({ seed }),
  copy: (seed) => copy({ length: 40, seed }),
  listOps: (seed) => listOps({ ...smallLists, seed }),
  switchBoard: (seed) => switchBoard({ seed }),
  associativeRecall: (seed) => associativeRecall({ seed }),
};
const someExamples = (task: Task, split: Split, count: number): Example[] =>
  Array.from({ length: count }, (_, index) => task.example(split, index));
const scored = ({ weights }: Example): number[] => [...weights!.keys()].filter((i) => weights![i] > 0);
const sameNumbers = (x: ArrayLike<number>, y: ArrayLike<number>) => assert.deepEqual(Array.from(x), Array.from(y));

for (const [name, make] of Object.entries(makers)) {
  describe(name, () => {
    const task = make(1);

    test("batches have the stated shapes and stay within the stated ids", () => {
      const { tokens, mask, labels, weights } = task.batch("train", 2, 5);
      const perToken = task.kind === "label-tokens";
      assert.deepEqual([tokens.shape, tokens.dtype], [[5, task.length], "int32"]);
      const padded = someExamples(task, "train", 15)
        .slice(10)
        .some((example) => example.mask);
      assert.deepEqual(mask && [mask.shape, mask.dtype], padded ? [[5, task.length], "float32"] : null);
      assert.deepEqual([labels.shape, labels.dtype], [perToken ? [5, task.length] : [5], "int32"]);
      assert.deepEqual(weights && [weights.shape, weights.dtype], perToken ? [[5, task.length], "float32"] : undefined);
      const { tokens: many, labels: manyLabels } = task.batch("test", 0, 300);
      assert.deepEqual([Math.min(...many.data), Math.max(...many.data)], [0, task.vocabulary - 1]);
      assert.deepEqual([Math.min(...manyLabels.data), Math.max(...manyLabels.data)], [0, task.classes - 1]);
    });

    test("a batch holds the examples of its place, whatever was asked for before", () => {
      const { tokens, labels, weights, mask } = make(1).batch("train", 3, 4);
      const examples = someExamples(task, "train", 16).slice(12);
      sameNumbers(
        tokens.data,
        examples.flatMap((example) => [...example.tokens]),
      );
      sameNumbers(
        labels.data,
        examples.flatMap((example) => [...example.labels]),
      );
      for (const [row, example] of examples.entries()) {
        const own = (data: ArrayLike<number>) => Array.from(data).slice(row * task.length, (row + 1) * task.length);
        if (example.weights) sameNumbers(own(weights!.data), example.weights);
        sameNumbers(
          mask ? own(mask.data) : new Array(task.length).fill(1),
          example.mask ?? new Array(task.length).fill(1),
        );
      }
    });

    test("another seed gives other training examples", () => {
      const first = ({ tokens }: Example) => tokens.join();
      assert.notEqual(first(make(2).example("train", 0)), first(task.example("train", 0)));
    });

    test("no example is in two splits", () => {
      const known = new Set<string>();
      for (const [split, count] of [
        ["train", 2000],
        ["validation", 400],
        ["test", 400],
      ] as const) {
        const own = new Set(someExamples(task, split, count).map(({ tokens }) => tokens.join()));
        assert.equal([...own].filter((tokens) => known.has(tokens)).length, 0, split);
        for (const tokens of own) known.add(tokens);
      }
    });

    test("an example is described in words that tell it from another", () => {
      const [one, other] = someExamples(task, "test", 2).map((example) => task.describe(example));
      assert.ok(one.length > 0 && one !== other);
    });

    test("indices that are none are refused", () => {
      assert.throws(() => task.batch("train", -1, 4), RangeError);
      assert.throws(() => task.batch("train", 0, 0), RangeError);
      assert.throws(() => task.batch("train", 0.5, 4), RangeError);
      assert.throws(() => task.batch("dev" as Split, 0, 4), /expected split train, validation or test, got dev/);
    });
  });
}

test("options out of bounds or unknown are refused with a remedy", () => {
  const cases: [() => unknown, typeof RangeError | typeof TypeError, RegExp][] = [
    [() => copy({ length: 3 }), RangeError, /^copy: expected length ≥ 8, got 3; a word of 2 symbols/],
    [() => copy({ length: 12.5 }), RangeError, /^copy: expected length to be an integer ≥ 8, got 12.5/],
    [() => copy({ seed: -1 }), RangeError, /^copy: expected seed in 0 … 4294967295, got -1$/],
    [() => copy({ lenght: 64 } as object), TypeError, /^copy: expected options .*, got lenght; did you mean length$/],
    [() => digits({ side: 20 }), RangeError, /^digits: expected side 4, 7, 14 or 28, got 20$/],
    [() => digits({ levels: 1 }), RangeError, /^digits: expected levels in 2 … 256, got 1$/],
    [() => listOps({ maxArgs: 1 }), RangeError, /^listOps: expected maxArgs ≥ 2, got 1$/],
    [() => listOps({ minLength: 40, maxLength: 41 }), RangeError, /^listOps: expected maxLength > minLength \+ 1/],
    [() => switchBoard({ majority: 8 }), RangeError, /^switchBoard: expected majority above half of 16 votes/],
    [() => switchBoard({ reach: 32 }), RangeError, /^switchBoard: expected reach < symbols \(32\), got 32/],
    [() => associativeRecall({ pairs: 8 }), RangeError, /^associativeRecall: expected pairs ≤ keys \(7\)/],
    [() => associativeRecall({ length: 12 }), RangeError, /^associativeRecall: expected length > .* \(12\), got 12/],
  ];
  for (const [make, type, message] of cases) {
    assert.throws(make, (error) => error instanceof type && message.test(error.message), String(message));
  }
});

test("the random streams are those of sfc32 in whole numbers, so that data sets outlive versions", () => {
  const tokens = [2, 3, 7, 5, 0, 2, 3, 7, 5, 0, 0, 0, 0, 0, 0, 0];
  sameNumbers(copy({ length: 16, seed: 7 }).example("test", 3).tokens, tokens);
});

describe("copy", () => {
  test("repeats its word after the separator, and asks for the separator and the copy", () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 70 }), fc.nat(500), (length, index) => {
        const example = copy({ length, symbols: 5 }).example("train", index);
        const tokens = [...example.tokens];
        const l = tokens.indexOf(0);
        assert.ok(l >= Math.floor(length / 4) && l < Math.floor((length - 1) / 2));
        assert.deepEqual(tokens.slice(l + 1, 2 * l + 1), tokens.slice(0, l));
        assert.deepEqual(new Set(tokens.slice(2 * l + 1)), new Set([0]));
        assert.deepEqual([...example.labels], [...tokens.slice(1), 0]);
        assert.deepEqual(
          scored(example),
          Array.from({ length: l + 1 }, (_, i) => l - 1 + i),
        );
      }),
      { numRuns: 60 },
    );
  });

  test("words take every length in their range and every symbol", () => {
    const words = someExamples(copy({ length: 40 }), "train", 500).map(({ tokens }) =>
      tokens.subarray(0, tokens.indexOf(0)),
    );
    assert.deepEqual(
      [...new Set(words.map(({ length }) => length))].sort((x, y) => x - y),
      [10, 11, 12, 13, 14, 15, 16, 17, 18],
    );
    assert.equal(new Set(words.flatMap((word) => [...word])).size, 10);
  });

  test("at the lengths of the paper words have from a quarter to just below half of the tokens", () => {
    for (const [length, shortest, longest] of [
      [128, 32, 62],
      [256, 64, 126],
      [512, 128, 254],
    ]) {
      const task = copy({ length });
      assert.deepEqual([task.vocabulary, task.classes, task.causal], [11, 11, true]);
      const lengths = someExamples(task, "train", 2000).map(({ tokens }) => tokens.indexOf(0));
      assert.deepEqual([Math.min(...lengths), Math.max(...lengths)], [shortest, longest]);
    }
  });
});

describe("listOps", () => {
  const task = listOps(smallLists);

  /** Another evaluator: rewrites the text from the innermost lists outwards. */
  function rewrite(text: string): number {
    const rules: Record<string, (digits: number[]) => number> = {
      MIN: (digits) => digits.reduce((x, y) => (x < y ? x : y)),
      MAX: (digits) => digits.reduce((x, y) => (x > y ? x : y)),
      SM: (digits) => Number(String(digits.reduce((x, y) => x + y)).slice(-1)),
      MED: (digits) => {
        const sorted = digits.toSorted();
        while (sorted.length > 2) {
          sorted.shift();
          sorted.pop();
        }
        return Math.trunc(sorted.reduce((x, y) => x + y) / sorted.length);
      },
    };
    let before = "";
    while (before !== text) {
      before = text;
      text = text.replace(/\[(MIN|MAX|MED|SM)((?: \d)+) \]/g, (_, name, digits) =>
        String(rules[name](digits.trim().split(" ").map(Number))),
      );
    }
    return Number(text);
  }

  test("labels are what the text says", () => {
    for (const { tokens, labels } of someExamples(task, "train", 1500)) {
      assert.equal(labels[0], rewrite(decodeListOps(tokens)), decodeListOps(tokens));
    }
  });

  test("trees keep the bounds on tokens, depth and arguments, and reach them", () => {
    let [shortest, longest, deepest, widest] = [Infinity, 0, 0, 0];
    for (const { tokens, mask } of someExamples(task, "train", 2000)) {
      const length = tokens.indexOf(0) < 0 ? tokens.length : tokens.indexOf(0);
      assert.deepEqual(
        [...mask!],
        Array.from(tokens, (token) => (token === 0 ? 0 : 1)),
      );
      shortest = Math.min(shortest, length);
      longest = Math.max(longest, length);
      const args = [0];
      for (const word of decodeListOps(tokens).split(" ")) {
        if (word === "]") {
          widest = Math.max(widest, args.pop()!);
          continue;
        }
        args[args.length - 1]++;
        deepest = Math.max(deepest, args.length);
        if (word.startsWith("[")) args.push(0);
      }
      assert.deepEqual(args, [1]);
    }
    const { minLength, maxLength, maxDepth, maxArgs } = smallLists as Required<typeof smallLists>;
    assert.deepEqual([shortest, longest, deepest, widest], [minLength + 1, maxLength - 1, maxDepth, maxArgs]);
  });

  test("no tree occurs twice, not even in the other split", () => {
    const trees = [...someExamples(task, "train", 4000), ...someExamples(task, "test", 400)];
    assert.equal(new Set(trees.map(({ tokens }) => tokens.join())).size, 4400);
  });

  test("a tree of the test split is a training tree under no seed", () => {
    const tiny = { maxDepth: 2, maxArgs: 3, minLength: 3, maxLength: 6, train: 2000, test: 200 };
    const [one, other] = [1, 2].map((seed) => listOps({ ...tiny, seed }));
    const training = new Set(someExamples(one, "train", 2000).map(({ tokens }) => tokens.join()));
    const known = ({ tokens }: Example) => training.has(tokens.join());
    assert.ok(someExamples(other, "train", 2000).some(known));
    assert.ok(!someExamples(other, "test", 200).some(known));
  });

  test("the training split begins anew where it ends, and the test split ends", () => {
    sameNumbers(task.example("train", 4003).tokens, task.example("train", 3).tokens);
    assert.throws(() => task.example("test", 400), /expected a test example below 400, got 400/);
  });

  test("the published size is the default: 500 < tokens < 2,000, padded to 2,048", () => {
    const published = listOps();
    assert.deepEqual([published.length, published.examples], [2048, { train: 96_000, validation: 2_000, test: 2_000 }]);
    const lengths = someExamples(published, "test", 20).map(({ tokens }) => tokens.indexOf(0));
    assert.ok(lengths.every((length) => length > 500 && length < 2000));
    assert.ok(Math.max(...lengths) > 1000);
  });

  test("text and tokens are two forms of one list, with or without the published parentheses", () => {
    for (const { tokens, mask } of someExamples(task, "test", 50)) {
      sameNumbers(encodeListOps(decodeListOps(tokens)), [...tokens].slice(0, mask!.indexOf(0)).concat());
    }
    assert.equal(
      decodeListOps(encodeListOps("( ( ( ( [MAX 2 ) 9 ) ( ( ( [MIN 4 ) 7 ) ] ) ) ] )")),
      "[MAX 2 9 [MIN 4 7 ] ]",
    );
  });

  test("MED between two digits is rounded down, SM is modulo 10", () => {
    assert.equal(evaluateListOps(encodeListOps("[MED 3 4 ]")), 3);
    assert.equal(evaluateListOps(encodeListOps("[MED 9 1 8 4 ]")), 6);
    assert.equal(evaluateListOps(encodeListOps("[SM 9 [MED 7 1 5 ] 8 ]")), 2);
  });

  test("lists that are none are refused", () => {
    assert.throws(() => encodeListOps("[MAX 2 ten ]"), /expected one of .*, got ten at word 2/);
    for (const text of ["[MAX 2", "2 ]", "[MAX ]", "1 2", ""]) {
      assert.throws(() => evaluateListOps(encodeListOps(text)), RangeError, text);
    }
  });

  test("asking for more trees than there are fails instead of searching for ever", () => {
    const few = listOps({ maxDepth: 2, maxArgs: 2, minLength: 3, maxLength: 5, train: 500 });
    assert.throws(() => few.batch("train", 0, 500), /expected 500 distinct train trees of 3 < tokens < 5, got 3\d\d; /);
  });
});

describe("switchBoard", () => {
  const votes = 16;
  const options = fc.record({
    symbols: fc.integer({ min: 6, max: 40 }),
    alphabet: fc.integer({ min: 2, max: 9 }),
    reach: fc.integer({ min: 1, max: 5 }),
    index: fc.nat(1000),
  });

  test("the label is the symbol before, in the colour of the majority of votes", () => {
    fc.assert(
      fc.property(options, ({ index, ...rest }) => {
        const example = switchBoard(rest).example("train", index);
        const ballot = example.tokens.subarray(0, votes).map((vote) => vote - rest.alphabet);
        const winner = ballot.reduce((sum, vote) => sum + vote) > votes / 2 ? 1 : 0;
        assert.ok(ballot.every((vote) => vote === 0 || vote === 1));
        for (const i of scored(example)) {
          assert.equal(example.labels[i], example.tokens[i - 1] + rest.alphabet * winner);
          assert.ok(example.tokens[i] < rest.alphabet && example.tokens[i - 1] < rest.alphabet);
        }
        assert.equal(scored(example).length, rest.symbols - rest.reach);
      }),
    );
  });

  test("a band reaches the same tokens in twin examples, no vote, and the labels differ: at most ½", () => {
    fc.assert(
      fc.property(options, ({ index, ...rest }) => {
        const task = switchBoard(rest);
        const [one, twin] = [0, 1].map((side) => task.example("test", 2 * index + side));
        for (const i of scored(one)) {
          const window = ({ tokens }: Example) => tokens.slice(i - rest.reach, i + rest.reach + 1);
          assert.ok(i - rest.reach >= votes);
          assert.deepEqual(window(one), window(twin));
          assert.notEqual(one.labels[i], twin.labels[i]);
        }
        assert.deepEqual(scored(one), scored(twin));
      }),
    );
  });

  test("the commonest symbol, the best answer without positions, stays below the bound and near it", () => {
    const task = switchBoard();
    let right = 0;
    let asked = 0;
    for (const example of someExamples(task, "test", 2000)) {
      const counts = new Array<number>(8).fill(0);
      for (const symbol of example.tokens.subarray(votes)) counts[symbol]++;
      const winner = example.labels[votes + 4] >= 8 ? 8 : 0;
      for (const i of scored(example)) {
        const own = counts.map((count, symbol) => count - (symbol === example.tokens[i] ? 1 : 0));
        if (own.indexOf(Math.max(...own)) + winner === example.labels[i]) right++;
        asked++;
      }
    }
    const { linear } = task.bounds;
    assert.ok(right / asked <= linear + 0.002, `${right / asked} exceeds ${linear}`);
    assert.ok(right / asked >= linear - 0.02, `${right / asked} is far below ${linear}`);
  });

  test("the bound without positions is the mean count of the commonest symbol, as enumeration has it", () => {
    for (const [symbols, alphabet] of [
      [3, 2],
      [4, 2],
      [5, 3],
      [6, 4],
    ]) {
      let total = 0;
      for (let code = 0; code < alphabet ** symbols; code++) {
        const counts = new Array<number>(alphabet).fill(0);
        for (let i = 0; i < symbols; i++) counts[Math.floor(code / alphabet ** i) % alphabet]++;
        total += Math.max(...counts);
      }
      const mean = total / alphabet ** symbols;
      const { bounds } = switchBoard({ symbols, alphabet, reach: 1 });
      assert.ok(Math.abs(bounds.linear - Math.min(1, mean / (symbols - 1))) < 1e-9, `${symbols} of ${alphabet}`);
    }
  });
});

test("associativeRecall: the label is the value that came with the key, and no value is within a band's reach", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 8 }), fc.nat(1000), (pairs, reach, index) => {
      const [keys, values] = [6, 5];
      const example = associativeRecall({ keys, values, pairs, reach }).example("train", index);
      const facts = new Map<number, number>();
      for (let p = 0; p < pairs; p++) facts.set(example.tokens[2 * p], example.tokens[2 * p + 1] - keys);
      assert.equal(facts.size, pairs);
      assert.equal(new Set(facts.values()).size, pairs);
      assert.deepEqual(
        scored(example),
        Array.from({ length: 32 - 2 * pairs - reach }, (_, i) => 2 * pairs + reach + i),
      );
      for (const i of scored(example)) {
        assert.equal(example.labels[i], facts.get(example.tokens[i]));
        assert.ok(example.tokens.subarray(i - reach, i + 1).every((token) => token < keys));
      }
    }),
  );
});

describe("digits", () => {
  const fine = digits({ side: 28, levels: 256 });
  const pixels = (split: Split, from: number, count: number) =>
    Array.from({ length: count }, (_, i) => fine.example(split, from + i).tokens.join());

  test("an epoch shows each of 7,000 training digits once, the next shows the same in another order", () => {
    const first = pixels("train", 0, 7000);
    const second = pixels("train", 7000, 7000);
    assert.equal(new Set(first).size, 7000);
    assert.deepEqual(new Set(second), new Set(first));
    assert.notDeepEqual(second, first);
  });

  for (const [split, count] of [
    ["validation", 1000],
    ["test", 2000],
  ] as const) {
    test(`the ${count} digits for ${split} are in no other split, and every ten have one of each class`, () => {
      const others = new Set([
        ...pixels("train", 0, 7000),
        ...pixels(split === "test" ? "validation" : "test", 0, 1000),
      ]);
      const own = pixels(split, 0, count);
      assert.equal(new Set(own).size, count);
      assert.ok(own.every((image) => !others.has(image)));
      const labels = someExamples(fine, split, count).map((example) => example.labels[0]);
      assert.deepEqual(
        labels,
        Array.from({ length: count }, (_, i) => i % 10),
      );
    });
  }

  test("the last test batch is short, and none follows", () => {
    assert.throws(() => fine.batch("test", 16, 128), /expected a test batch below 16 at size 128, got 16/);
    assert.deepEqual(fine.batch("test", 15, 128).tokens.shape, [80, 784]);
  });

  test("training digits of all classes come in as many numbers as the package has, less the other splits'", () => {
    const counts = new Array<number>(10).fill(0);
    for (const { labels } of someExamples(fine, "train", 7000)) counts[labels[0]]++;
    assert.deepEqual(counts, [701, 827, 691, 732, 680, 563, 714, 770, 644, 678]);
  });

  test("test digits are the last 200 of each class in the package, pixel for pixel", () => {
    const { resolve } = createRequire(import.meta.url);
    for (const digit of [0, 3, 8]) {
      const { data } = JSON.parse(readFileSync(resolve(`mnist/src/digits/${digit}.json`), "utf8"));
      for (const turn of [0, 77, 199]) {
        const start = data.length + (turn - 200) * 784;
        const raw = data.slice(start, start + 784).map((grey: number) => Math.round(grey * 255));
        sameNumbers(fine.example("test", 10 * turn + digit).tokens, raw);
      }
    }
  });

  test("smaller images are averages of the large ones, to the nearest level", () => {
    for (const [side, levels] of [
      [14, 8],
      [7, 256],
      [4, 2],
    ]) {
      const edge = 28 / side;
      const small = digits({ side, levels });
      for (let index = 0; index < 30; index++) {
        const [large, pooled] = [fine.example("test", index).tokens, small.example("test", index).tokens];
        for (let at = 0; at < side * side; at++) {
          const [top, left] = [Math.floor(at / side) * edge, (at % side) * edge];
          let sum = 0;
          for (let y = 0; y < edge; y++) for (let x = 0; x < edge; x++) sum += large[(top + y) * 28 + left + x];
          const exact = ((sum / edge ** 2) * (levels - 1)) / 255;
          assert.ok(
            Math.abs(pooled[at] - exact) <= 0.5 + 1e-4,
            `side ${side}, pixel ${at}: ${pooled[at]} for ${exact}`,
          );
        }
      }
    }
  });

  test("image gives the grey values back, from 0 to 1, with more paper than ink", () => {
    const task = digits();
    const { width, height, pixels } = task.image(task.example("test", 3));
    assert.deepEqual([width, height, pixels.length], [14, 14, 196]);
    assert.deepEqual([Math.min(...pixels), Math.max(...pixels)], [0, 1]);
    const ink = pixels.reduce((sum, pixel) => sum + pixel) / 196;
    assert.ok(ink > 0.03 && ink < 0.4, `${ink}`);
  });
});

test("a split without examples shows its counts, and no pictures", () => {
  const empty = defineTask({ ...digits(), examples: { train: 5, validation: 0, test: 5 } });
  const { counts, sampled, lengths, examples, picture } = inspectTask(empty, { split: "validation" });
  assert.deepEqual([counts, sampled, examples, picture], [empty.examples, 0, [], undefined]);
  assert.deepEqual(lengths, { min: 0, median: 0, max: 0 });
});

test("a batch of pairs holds two sequences an example", () => {
  const pairs = defineTask({
    name: "pairs",
    kind: "classify-pairs",
    causal: false,
    vocabulary: 8,
    length: 3,
    classes: 2,
    examples: { train: 4, validation: 1, test: 1 },
    example: (_, index) => ({
      tokens: Int32Array.of(1, 2, 0, 3, 4, index),
      mask: Float32Array.of(1, 1, 0, 1, 1, 1),
      labels: Int32Array.of(index % 2),
    }),
    describe: String,
  });
  const { tokens, mask, labels } = pairs.batch("train", 0, 2);
  assert.deepEqual([tokens.shape, mask?.shape, labels.shape], [[2, 2, 3], [2, 2, 3], [2]]);
  sameNumbers(tokens.data, [1, 2, 0, 3, 4, 0, 1, 2, 0, 3, 4, 1]);
  sameNumbers(mask!.data, [1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1]);
});
