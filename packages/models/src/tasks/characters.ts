import { DataError } from "../data/data-error.ts";
import { openRows, type ReadOptions, readOptionNames } from "../data/open-rows.ts";
import type { OnBytes } from "../data/read-chunks.ts";
import { readText } from "../data/read-text.ts";
import { checkOptions } from "../known-name.ts";
import { integerOptions, seedOption } from "./integer-options.ts";
import { type LanguageFacts, type LanguageTask, languageTask, writeTokens } from "./language-task.ts";
import type { Split } from "./task.ts";
import { type TextPlace, textPlaceNames, textSources } from "./text-sources.ts";

export interface CharactersOptions extends TextPlace, ReadOptions {
  /** n, characters in an example; 256 unless told */
  readonly length?: number;
  /** order of the training examples */
  readonly seed?: number;
}

/**
 * Tell the next character of a text.
 *
 * The text is one file, or those of a folder one after the other, of which the last parts are for validation and test;
 * or a file for each split, as in `train.txt`, `valid.txt`, `test.txt`. Characters are code points, ids those of all
 * that occur in the text, in the order of Unicode; line ends are characters as they are. Examples are segments of n that
 * follow each other, those for training in a new order every epoch; a rest below n at the end is left out.
 *
 * @throws DataError when there is no text, or with the byte that is no UTF-8, or the text is too short
 */
export async function characters(options: CharactersOptions): Promise<LanguageTask> {
  checkOptions("characters", options, [...textPlaceNames, "length", "seed", ...readOptionNames]);
  const { dir, file, validation, test, cache, onProgress, ...numbers } = options;
  const { length, seed } = integerOptions("characters", numbers, {
    length: { default: 256, min: 1 },
    seed: seedOption,
  });
  const { sources, splits, shares } = textSources("characters", options);

  const rows = await openRows<LanguageFacts>({
    name: "characters",
    sources,
    options: { shares },
    cache,
    onProgress,
    fill,
  });

  async function fill(add: (row: Uint8Array) => void, onBytes: OnBytes): Promise<LanguageFacts> {
    // The text is read twice: for its characters, then as their ids.
    const half: OnBytes = (bytes) => onBytes(bytes / 2);
    const counts = new Map<string, number>();
    for (const { path } of sources) {
      for await (const piece of readText("characters", path, half)) {
        for (const character of piece) counts.set(character, (counts.get(character) ?? 0) + 1);
      }
    }
    const symbols = [...counts.keys()].sort((one, other) => one.codePointAt(0)! - other.codePointAt(0)!);
    const ids = new Map(symbols.map((character, id) => [character, id]));
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    const { validation: held, test: tested } = shares ?? { validation: 0, test: 0 };
    const [first, second] = [Math.floor((1 - held - tested) * total), Math.floor((1 - tested) * total)];

    const { token, flush, size } = writeTokens(symbols.length, add);
    let at = 0;
    for (const [source, { path }] of sources.entries()) {
      for await (const piece of readText("characters", path, half)) {
        for (const character of piece) {
          const id = ids.get(character);
          if (id === undefined)
            throw new DataError("characters: expected the text as it was, got another", { file: path });
          token(splits?.[source] ?? splitAt(at++, first, second), id);
        }
      }
    }
    flush();
    return { symbols, size };
  }

  const { symbols } = rows.facts;
  const ids = new Map(symbols.map((character, id) => [character, id]));
  return languageTask({
    name: "characters",
    length,
    seed,
    rows,
    source: dir ?? (file as string),
    decode: (tokens) => Array.from(tokens, (id) => symbols[id]).join(""),
    encode: (text) =>
      Int32Array.from(Array.from(text), (character, place) => {
        const id = ids.get(character);
        if (id !== undefined) return id;
        const got = `${JSON.stringify(character)} at place ${place}`;
        throw new RangeError(`characters: expected one of the ${symbols.length} characters of the text, got ${got}`);
      }),
  });
}

function splitAt(place: number, first: number, second: number): Split {
  return place < first ? "train" : place < second ? "validation" : "test";
}
