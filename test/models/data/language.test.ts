import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { characters, DataError, type LanguageTask, type Split, words } from "@fmmformer/models";
import fc from "fast-check";
import { folder } from "./folder.ts";

const splits = ["train", "validation", "test"] as const;
const wiki = {
  "wiki.train.tokens": " \n = Title = \n \n the Cat sat , the cat <unk> \r\n the end\n",
  "wiki.valid.tokens": "the dog\n\nsat end",
  "wiki.test.tokens": '" end "\nthe Cat\n',
  "notes.txt": "not read",
};
const openWords = (files: Record<string, string | Uint8Array>, options: object = {}) =>
  words({ dir: folder(files), cache: null, length: 2, ...options });
const texts = (task: LanguageTask, split: Split) => task.decode(task.tokens(split));

describe("words", () => {
  test("ids are <eos>, then the training words by how common they are, the first of equals first", async () => {
    const task = await openWords(wiki);
    assert.deepEqual(task.symbols, ["<eos>", "the", "=", "Title", "Cat", "sat", ",", "cat", "<unk>", "end"]);
    assert.deepEqual([task.vocabulary, task.classes, task.kind, task.causal], [10, 10, "label-tokens", true]);
  });

  test("every line ends with <eos>, an empty one too, and unknown words are <unk>", async () => {
    const task = await openWords(wiki);
    assert.equal(texts(task, "train"), "\n= Title =\n\nthe Cat sat , the cat <unk>\nthe end\n");
    assert.equal(texts(task, "validation"), "the <unk>\n\nsat end\n");
    assert.equal(texts(task, "test"), "<unk> end <unk>\nthe Cat\n");
    assert.deepEqual(task.size, { train: 17, validation: 7, test: 7 });
  });

  test("<unk> is the last id where the text has none, and only where it is needed", async () => {
    const files = { "train.txt": "a b b\na b", "valid.txt": "b a b a", "test.txt": "b a c a" };
    const task = await openWords(files);
    assert.deepEqual(task.symbols, ["<eos>", "b", "a", "<unk>"]);
    assert.deepEqual([...task.tokens("test")], [1, 2, 3, 2, 0]);
    const known = await openWords({ ...files, "test.txt": "b a b" });
    assert.deepEqual(known.symbols, ["<eos>", "b", "a"]);
    assert.throws(() => known.encode("a c"), /RangeError: words: expected words of the text, .*got "c"/);
  });

  test("a smaller vocabulary keeps the commonest words", async () => {
    const task = await openWords(wiki, { maxVocabulary: 4 });
    assert.deepEqual(task.symbols, ["<eos>", "the", "=", "<unk>"]);
    assert.equal(texts(task, "test"), "<unk> <unk> <unk>\nthe <unk>\n");
    assert.equal((await openWords(wiki, { maxVocabulary: 10 })).vocabulary, 10);
  });

  test("one file is split by lines near the shares, and folders of text follow each other", async () => {
    const lines = Array.from({ length: 200 }, (_, i) => `line ${100 + i} of two hundred`);
    const file = join(folder({ "a.txt": lines.join("\n") }), "a.txt");
    const task = await words({ file, cache: null, length: 4, validation: 0.1, test: 0.2 });
    assert.deepEqual(task.size, { train: 140 * 6, validation: 20 * 6, test: 40 * 6 });
    assert.match(texts(task, "test"), /^line <unk> of two hundred\n/);
    const dir = folder({ "b.txt": lines.slice(99).join("\n"), "a.txt": lines.slice(0, 99).join("\n") });
    const other = await words({ dir, cache: null, length: 4, validation: 0.1, test: 0.2 });
    assert.equal(
      splits.map((split) => texts(other, split)).join(""),
      splits.map((split) => texts(task, split)).join(""),
    );
  });

  test("lines that end as on Windows are split where others are", async () => {
    const lines = Array.from({ length: 300 }, (_, i) => `line ${100 + i} of many`);
    const [unix, windows] = await Promise.all(
      ["\n", "\r\n"].map((end) => openWords({ "a.txt": lines.map((line) => line + end).join("") })),
    );
    for (const split of splits) assert.equal(texts(windows, split), texts(unix, split));
  });

  test("text is the words that it encodes to, where it has no other white space", async () => {
    const task = await openWords(wiki);
    const known = fc.constantFrom(...task.symbols.slice(1));
    fc.assert(
      fc.property(fc.array(fc.array(known, { maxLength: 4 }), { minLength: 1, maxLength: 5 }), (lines) => {
        const text = lines.map((line) => line.join(" ")).join("\n");
        assert.equal(task.decode(task.encode(text)), text);
      }),
    );
  });

  test("bytes that are no UTF-8 are refused with the line", async () => {
    const files = {
      ...wiki,
      "wiki.valid.tokens": Buffer.concat([Buffer.from("fine\n\nnot "), Buffer.of(0xe9), Buffer.from("\n")]),
    };
    await assert.rejects(openWords(files), (error) => {
      assert.ok(error instanceof DataError && error.file.endsWith("wiki.valid.tokens"));
      assert.equal(error.line, 3);
      assert.match(error.message, /^words: expected UTF-8 text, got other bytes/);
      return true;
    });
  });
});

describe("characters", () => {
  const poem = "Ça ira 🐈\r\nça ira\n".repeat(40);
  const open = (text: string | Uint8Array, options: object = {}) =>
    characters({ file: join(folder({ "poem.txt": text }), "poem.txt"), cache: null, length: 8, ...options });

  test("ids are the characters that occur, in the order of Unicode, and shares are of characters", async () => {
    const task = await open(poem, { validation: 0.1, test: 0.1 });
    assert.deepEqual(
      task.symbols,
      ["\n", "\r", " ", "a", "i", "r", "Ç", "ç", "🐈"].sort((x, y) => x.codePointAt(0)! - y.codePointAt(0)!),
    );
    assert.deepEqual(task.size, { train: 544, validation: 68, test: 68 });
    assert.equal(splits.map((split) => texts(task, split)).join(""), poem);
    assert.equal(task.decode(task.encode(poem)), poem);
    assert.throws(
      () => task.encode("iro"),
      /RangeError: characters: expected one of the 9 characters .*, got "o" at place 2/,
    );
  });

  test("an example's labels are its next characters, and an epoch has each segment once", async () => {
    const task = await open(poem, { seed: 3 });
    const { train } = task.examples;
    assert.equal(train, Math.floor((task.size.train - 1) / 8));
    const epoch = (from: number) =>
      Array.from({ length: train }, (_, i) => {
        const { tokens, labels, weights } = task.example("train", from + i);
        assert.deepEqual([...tokens.subarray(1)], [...labels.subarray(0, 7)]);
        assert.deepEqual([...weights!], Array(8).fill(1));
        return task.decode(tokens) + task.symbols[labels[7]];
      });
    const text = Array.from(texts(task, "train"));
    const segments = Array.from({ length: train }, (_, i) => text.slice(8 * i, 8 * i + 9).join(""));
    assert.deepEqual(epoch(0).sort(), segments.sort());
    assert.notDeepEqual(epoch(0), epoch(train));
    assert.equal(task.describe(task.example("test", 1)), Array.from(texts(task, "test")).slice(8, 16).join(""));
  });

  test("a text longer than pieces and blocks, characters of every width across their ends, is read as it is", async () => {
    const unit = "aé€🐈b";
    const text = `x${unit.repeat(110_000)}`;
    const task = await open(text, { length: 64 });
    assert.equal(splits.map((split) => texts(task, split)).join(""), text);
    const [from, to] = [4090, 4100 + 4096];
    assert.equal(
      task.decode(task.tokens("train", from, to)),
      Array.from(text.slice(0, 20_000)).slice(from, to).join(""),
    );
  });

  test("more characters than a byte can name are kept", async () => {
    const text = Array.from({ length: 1200 }, (_, i) => String.fromCodePoint(0x4e00 + (i % 600))).join("");
    const task = await open(text);
    assert.equal(task.vocabulary, 600);
    assert.equal(splits.map((split) => texts(task, split)).join(""), text);
  });

  test("bytes that are no UTF-8 are refused with the place, � itself and unfinished characters told apart", async () => {
    const good = Buffer.from("�é fine ".repeat(200_000));
    for (const bad of [[0xff], [0xe9, 0x20], [0xf0, 0x9f, 0x90]]) {
      const bytes = Buffer.concat([good, Buffer.from(bad), bad.length === 1 ? good : Buffer.alloc(0)]);
      await assert.rejects(open(bytes), (error) => {
        assert.ok(error instanceof DataError);
        assert.equal(error.byte, good.length);
        assert.match(error.message, /^characters: expected UTF-8 text, got other bytes/);
        return true;
      });
    }
  });

  test("a text in the cache is the text", async () => {
    const [file, cache] = [join(folder({ "a.txt": poem }), "a.txt"), folder()];
    const [read, found] = [await characters({ file, cache, length: 8 }), await characters({ file, cache, length: 9 })];
    assert.equal(texts(found, "train"), texts(read, "train"));
    assert.equal(found.length, 9);
  });

  test("texts too short, places and options that are none are refused with a remedy", async () => {
    await assert.rejects(
      open("short"),
      /DataError: characters: expected more than 8 tokens for train, got 4; take a longer/,
    );
    await assert.rejects(
      characters({ cache: null }),
      /TypeError: characters: expected dir or file, with wiki\.train\.tokens, .*, got neither; pass dir/,
    );
    await assert.rejects(open(poem, { dir: "." }), /TypeError: characters: expected dir or file, with .*, got both$/);
    await assert.rejects(
      open(poem, { validation: 0.6, test: 0.5 }),
      /RangeError: characters: expected validation \+ test/,
    );
    await assert.rejects(open(poem, { lenght: 3 }), /TypeError: characters: .*did you mean length/);
    await assert.rejects(
      words({ dir: folder({ "a.md": "a" }) }),
      /words: expected wiki\.train\.tokens, .*no text files; pass dir/,
    );
    await assert.rejects(
      words({ file: "no/such.txt" }),
      /words: expected wiki\.train\.tokens, .* got no such\.txt; pass/,
    );
    const task = await open(poem);
    assert.throws(
      () => task.tokens("test", 3, 10_000),
      /RangeError: characters: expected places in 0 … 34, got 3 … 10000/,
    );
  });
});
