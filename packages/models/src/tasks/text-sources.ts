import { basename, dirname } from "node:path";
import { findSources, listFolder, missing, type Source, type Wanted } from "../data/sources.ts";
import { checkShare } from "./share.ts";
import type { Split } from "./task.ts";

/** Where a task of running text finds it. */
export interface TextPlace {
  /** a folder with a file for each split, or with any text files, which follow each other in the order of their names */
  readonly dir?: string;
  /** one file of text, in place of a folder */
  readonly file?: string;
  /** share of the text, before that for test, that is for validation where files do not say; 0.05 unless told */
  readonly validation?: number;
  /** share of the text, the last part, that is for test where files do not say; 0.05 unless told */
  readonly test?: number;
}

/** The names of the options above, for checks. */
export const textPlaceNames = ["dir", "file", "validation", "test"] as const;

/** Files by split, or files that are to be split by shares. */
export interface TextSources {
  readonly sources: readonly Source[];
  /** the split of each source; undefined where the text is one */
  readonly splits: readonly Split[] | undefined;
  /** what the rows depend on besides the sources */
  readonly shares: { readonly validation: number; readonly test: number } | undefined;
}

const endings: readonly (readonly [Split, RegExp])[] = [
  ["train", /(^|\.)train\.(tokens|txt|raw)$/],
  ["validation", /(^|\.)valid(ation)?\.(tokens|txt|raw)$/],
  ["test", /(^|\.)test\.(tokens|txt|raw)$/],
];

/** What there must be in the folder. */
export function wantedText(reader: string): Wanted {
  return {
    reader,
    layout: "wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens, or other .txt files",
    remedy: "pass dir, a folder of text such as that of wikitext-103-v1.zip from https://wikitext.smerity.com, or file",
  };
}

/**
 * Find the files of a text.
 *
 * @throws DataError when there are none / TypeError when there is neither dir nor file, or both / RangeError when a share is none
 */
export function textSources(reader: string, { dir, file, validation = 0.05, test = 0.05 }: TextPlace): TextSources {
  checkShare(reader, "validation", validation);
  checkShare(reader, "test", test);
  checkShare(reader, "validation + test", validation + test);
  const wanted = wantedText(reader);
  if ((dir === undefined) === (file === undefined)) {
    const got = dir === undefined ? `neither; ${wanted.remedy}` : "both";
    throw new TypeError(`${reader}: expected dir or file, with ${wanted.layout}, got ${got}`);
  }
  const shares = { validation, test };
  if (file !== undefined) {
    return { sources: findSources(wanted, dirname(file), [basename(file)]), splits: undefined, shares };
  }
  const folder = dir as string;
  const names = listFolder(wanted, folder, "files");
  const bySplit = endings.map(([, ending]) => names.filter((name) => ending.test(name)));
  if (bySplit.every((found) => found.length === 1)) {
    const splits = endings.map(([split]) => split);
    return { sources: findSources(wanted, folder, bySplit.flat()), splits, shares: undefined };
  }
  const texts = names.filter((name) => /\.(tokens|txt|raw)$/.test(name));
  if (texts.length === 0) throw missing(wanted, folder, "no text files");
  return { sources: findSources(wanted, folder, texts), splits: undefined, shares };
}
