import { isUtf8 } from "node:buffer";
import { DataError } from "../data/data-error.ts";
import { openRows, type ReadOptions, readOptionNames } from "../data/open-rows.ts";
import type { OnBytes } from "../data/read-chunks.ts";
import { readLines } from "../data/read-lines.ts";
import { checkOptions } from "../known-name.ts";
import { integerOptions, seedOption } from "./integer-options.ts";
import { type LanguageFacts, type LanguageTask, languageTask, writeTokens } from "./language-task.ts";
import type { Split } from "./task.ts";
import { type TextPlace, type TextSources, textPlaceNames, textSources } from "./text-sources.ts";

export interface WordsOptions extends TextPlace, ReadOptions {
  /** n, words in an example; 256 unless told */
  readonly length?: number;
  /** at most so many ids, the commonest words; the others are `<unk>`; all unless told */
  readonly maxVocabulary?: number;
  /** order of the training examples */
  readonly seed?: number;
}

const endOfLine = "<eos>";
const unknown = "<unk>";

/**
 * Tell the next word of a text, as in WikiText-103 (103,227,021 words for training, 217,646 for validation, 245,569 for
 * test): a file for each split, `wiki.train.tokens`, `wiki.valid.tokens`, `wiki.test.tokens`; or any file or folder of
 * text, of which the last lines are for validation and test.
 *
 * Words are what stands between white space, in the case they have, and `<eos>` ends every line, an empty one too. Ids:
 * `<eos>` is 0, then the words of the training split, the commonest first, of equally common ones the one that occurs
 * first. A word that the training split has not is `<unk>`, which is then the last id if it is no word of the text.
 *
 * Examples are segments of n words that follow each other in the text, those for training in a new random order every
 * epoch. The paper reads 96 streams side by side, and its model carries nothing from a segment to the next: each epoch
 * has the same segments there and here, up to where streams are cut, in another order. A rest below n is left out.
 *
 * @throws DataError when there is no text, or with the line that is no UTF-8, or the text is too short
 * @see Merity, Xiong, Bradbury, Socher (2016), Pointer sentinel mixture models, §4, https://arxiv.org/abs/1609.07843;
 *   Dai et al. (2019), Transformer-XL, https://arxiv.org/abs/1901.02860, for the vocabulary
 */
export async function words(options: WordsOptions): Promise<LanguageTask> {
  checkOptions("words", options, [...textPlaceNames, "length", "maxVocabulary", "seed", ...readOptionNames]);
  const { dir, file, validation, test, cache, onProgress, ...numbers } = options;
  const { length, maxVocabulary, seed } = integerOptions("words", numbers, {
    length: { default: 256, min: 1 },
    maxVocabulary: { default: 2 ** 31, min: 3, because: "<eos>, <unk> and a word" },
    seed: seedOption,
  });
  const texts = textSources("words", options);
  const { sources, shares } = texts;

  const rows = await openRows<LanguageFacts>({
    name: "words",
    sources,
    options: { shares, maxVocabulary },
    cache,
    onProgress,
    async fill(add, onBytes) {
      // Training lines are read twice: for the vocabulary, then as ids.
      const symbols = await readVocabulary(texts, maxVocabulary, onBytes);
      const ids = new Map(symbols.map((word, id) => [word, id]));
      const { token, flush, size } = writeTokens(symbols.length + 1, add);
      for await (const { split, words } of readWords(texts, onBytes)) {
        for (const word of words) {
          const id = ids.get(word) ?? ids.get(unknown) ?? symbols.length;
          if (id === symbols.length) ids.set(unknown, symbols.push(unknown) - 1);
          token(split, id);
        }
        token(split, 0);
      }
      flush();
      return { symbols, size };
    },
  });

  const { symbols } = rows.facts;
  const ids = new Map(symbols.map((word, id) => [word, id]));

  function encode(text: string): Int32Array {
    const lines = text.split("\n").map((line) => line.split(/\s+/).filter((word) => word !== ""));
    const read = lines.flatMap((line, at) => (at === 0 ? line : [endOfLine, ...line]));
    return Int32Array.from(read, (word) => {
      const id = ids.get(word) ?? ids.get(unknown);
      if (id !== undefined) return id;
      throw new RangeError(`words: expected words of the text, which has no ${unknown}, got ${JSON.stringify(word)}`);
    });
  }

  return languageTask({
    name: "words",
    length,
    seed,
    rows,
    source: dir ?? (file as string),
    decode: (tokens) =>
      Array.from(tokens, (id) => symbols[id])
        .join(" ")
        .replace(/ ?<eos> ?/g, "\n"),
    encode,
  });
}

/** `<eos>` and the words of the training split, the commonest first. */
async function readVocabulary(texts: TextSources, most: number, onBytes: OnBytes): Promise<string[]> {
  const counts = new Map<string, number>();
  for await (const { split, words } of readWords(texts, onBytes, "train")) {
    if (split !== "train") break;
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  counts.delete(endOfLine);
  const all = [...counts].sort(([, one], [, other]) => other - one).map(([word]) => word);
  const kept = all.slice(0, most - 1);
  if (kept.length < all.length && !kept.includes(unknown)) kept[kept.length - 1] = unknown;
  return [endOfLine, ...kept];
}

/** Read lines as words, split after split. */
async function* readWords(
  { sources, splits, shares }: TextSources,
  onBytes: OnBytes,
  only?: "train",
): AsyncGenerator<{ readonly split: Split; readonly words: readonly string[] }> {
  const total = sources.reduce((sum, { size }) => sum + size, 0);
  const { validation, test } = shares ?? { validation: 0, test: 0 };
  let at = 0;
  for (const [source, { path }] of sources.entries()) {
    const own = splits?.[source];
    if (only !== undefined && own !== undefined && own !== only) continue;
    const twice = own === undefined || own === "train";
    const counted: OnBytes = (bytes) => onBytes(twice ? bytes / 2 : bytes);
    for await (const { number, bytes, size } of readLines("words", path, counted)) {
      if (!isUtf8(bytes)) {
        throw new DataError("words: expected UTF-8 text, got other bytes", { file: path, line: number });
      }
      const share = at / total;
      at += size;
      const split = own ?? (share < 1 - validation - test ? "train" : share < 1 - test ? "validation" : "test");
      const words = bytes.toString("utf8").split(/\s+/);
      yield { split, words: words.filter((word) => word !== "") };
    }
  }
}
