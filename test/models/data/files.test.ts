import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { DataError, findSources, listFolder, openRows, type Rows, readChunks, readLines } from "@fmmformer/models";
import fc from "fast-check";
import { folder } from "./folder.ts";

async function linesOf(content: string | Uint8Array, name = "a.txt") {
  const lines = [];
  for await (const line of readLines("test", join(folder({ [name]: content }), name))) lines.push(line);
  return lines;
}

describe("readLines", () => {
  test("numbers lines and drops their ends, be they CR LF or LF, at the end of the file or not", async () => {
    const lines = await linesOf("one\r\n\ntwo\rtwo\r\n\r\nlast");
    assert.deepEqual(
      lines.map(({ number, bytes, size }) => [number, bytes.toString(), size]),
      [
        [1, "one", 5],
        [2, "", 1],
        [3, "two\rtwo", 9],
        [4, "", 2],
        [5, "last", 4],
      ],
    );
    assert.equal((await linesOf("one\n")).length, 1);
    assert.equal((await linesOf("")).length, 0);
  });

  test("bytes that are no UTF-8 come as they are", async () => {
    const [{ bytes }] = await linesOf(Uint8Array.of(0xff, 0x00, 0xc3, 0x0a));
    assert.deepEqual([...bytes], [0xff, 0x00, 0xc3]);
  });

  test("a line that is longer than many pieces of the file is whole, and so is the one after it", async () => {
    const long = Buffer.alloc(3_500_000, "long ");
    const [first, second] = await linesOf(Buffer.concat([long, Buffer.from("\r\nshort")]));
    assert.ok(first.bytes.equals(long));
    assert.equal(second.bytes.toString(), "short");
  });

  test("joined by line feeds, lines are the file again", async () => {
    const pieces = fc.array(fc.constantFrom("\n", "\r\n", "a", "é", "\t", '"'), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(pieces, async (parts) => {
        const text = parts.join("");
        const lines = (await linesOf(text)).map(({ bytes }) => bytes.toString());
        assert.equal(lines.join("\n"), text.replaceAll("\r\n", "\n").replace(/\n$/, ""));
      }),
      { numRuns: 60 },
    );
  });

  test("compressed files are unpacked, and one that is cut short says at which byte", async () => {
    const text = Array.from({ length: 200_000 }, (_, i) => `${(i * 7919) % 1000003}\n`).join("");
    const packed = gzipSync(text);
    const lines = await linesOf(packed, "a.gz");
    assert.equal(lines.length, 200_000);
    await assert.rejects(linesOf(packed.subarray(0, packed.length >> 1), "a.gz"), (error) => {
      assert.ok(error instanceof DataError && error.byte! > 0 && error.byte! < text.length);
      assert.match(error.message, /^test: expected whole gzip data, got .* \(.*a\.gz, byte \d+\)$/);
      return true;
    });
    await assert.rejects(linesOf(text, "a.gz"), /expected whole gzip data, got incorrect header check/);
  });

  test("a file that is not there is a DataError", async () => {
    const file = join(folder(), "none.txt");
    await assert.rejects(readChunks("test", file).next(), (error) => {
      assert.ok(error instanceof DataError && error.file === file);
      assert.match(error.message, /^test: expected a file that can be read, got ENOENT/);
      return true;
    });
  });
});

const wanted = { reader: "test", layout: "a.txt", remedy: "write one" };

/** Rows that are the lines of a.txt. */
function openLines(dir: string, rest: { cache?: string | null; upper?: boolean; calls?: number[] } = {}) {
  const { upper = false, calls = [], ...options } = rest;
  return openRows({
    name: "lines",
    sources: findSources(wanted, dir, ["a.txt"]),
    options: { upper },
    ...options,
    async fill(add, onBytes) {
      let lines = 0;
      for await (const { bytes } of readLines("test", join(dir, "a.txt"), onBytes)) {
        const text = bytes.toString();
        if (text === "bad") throw new DataError("test: expected good, got bad", { file: "a.txt", line: lines + 1 });
        add(Buffer.from(upper ? text.toUpperCase() : text));
        lines++;
      }
      calls.push(lines);
      return { lines };
    },
  });
}
const rowsOf = (rows: Rows<unknown>) =>
  Array.from({ length: rows.count }, (_, row) => Buffer.from(rows.read(row)).toString());

describe("openRows", () => {
  const content = "one\n\nthree, which is longer\n";
  const expected = ["one", "", "three, which is longer"];

  test("reads a source once and finds its rows from then on, in any order", async () => {
    const [dir, cache, calls] = [folder({ "a.txt": content }), folder(), [] as number[]];
    for (let time = 0; time < 3; time++) {
      const rows = await openLines(dir, { cache, calls });
      assert.deepEqual([rows.facts, rows.count], [{ lines: 3 }, 3]);
      assert.equal(Buffer.from(rows.read(2)).toString(), expected[2]);
      assert.deepEqual(rowsOf(rows), expected);
    }
    assert.deepEqual(calls, [3]);
    assert.match(readdirSync(cache).join(), /^lines-[0-9a-f]{16}\.rows$/);
  });

  test("without a cache the same rows are in memory", async () => {
    const rows = await openLines(folder({ "a.txt": content }), { cache: null });
    assert.deepEqual(rowsOf(rows), expected);
  });

  test("other options, another source or another time of it are read anew", async () => {
    const [dir, cache, calls] = [folder({ "a.txt": content }), folder(), [] as number[]];
    await openLines(dir, { cache, calls });
    assert.deepEqual(rowsOf(await openLines(dir, { cache, calls, upper: true }))[0], "ONE");
    utimesSync(join(dir, "a.txt"), 1, 1);
    await openLines(dir, { cache, calls });
    await openLines(folder({ "a.txt": content }), { cache, calls });
    writeFileSync(join(dir, "a.txt"), "other\n");
    assert.deepEqual(rowsOf(await openLines(dir, { cache, calls })), ["other"]);
    assert.deepEqual(calls, [3, 3, 3, 3, 1]);
  });

  test("a cache with any byte changed, cut short or longer is made anew, at once or after saying so", async () => {
    const [dir, cache] = [folder({ "a.txt": content }), folder()];
    await openLines(dir, { cache });
    const file = join(cache, readdirSync(cache)[0]);
    const whole = readFileSync(file);
    const damaged = [
      ...Array.from(whole.keys(), (at) => Buffer.from(whole.map((byte, place) => (place === at ? byte ^ 1 : byte)))),
      whole.subarray(0, 0),
      whole.subarray(0, 20),
      whole.subarray(0, whole.length - 1),
      Buffer.concat([whole, Buffer.alloc(1)]),
    ];
    let said = 0;
    for (const bytes of damaged) {
      writeFileSync(file, bytes);
      const calls: number[] = [];
      try {
        assert.deepEqual(rowsOf(await openLines(dir, { cache, calls })), expected);
      } catch (error) {
        assert.ok(error instanceof DataError);
        assert.match(
          error.message,
          /^lines: expected row \d as it was written, .* open the task again \(.*, byte \d+\)$/,
        );
        said++;
        assert.deepEqual(rowsOf(await openLines(dir, { cache, calls })), expected);
      }
      assert.deepEqual(calls, [3]);
      assert.ok(readFileSync(file).equals(whole));
    }
    assert.equal(said, expected.join("").length);
  });

  test("a read that fails leaves nothing behind, and what a killed run left is removed an hour later", async () => {
    const [dir, cache] = [folder({ "a.txt": `${content}bad\nmore\n` }), folder()];
    await assert.rejects(openLines(dir, { cache }), /got bad \(a\.txt, line 4\)$/);
    assert.deepEqual(readdirSync(cache), []);
    writeFileSync(join(dir, "a.txt"), content);
    await openLines(dir, { cache });
    const name = readdirSync(cache)[0];
    writeFileSync(join(cache, name), "half");
    for (const [part, age] of [
      ["old", 3700],
      ["new", 10],
    ] as const) {
      const file = join(cache, `${name}.${part}.part`);
      writeFileSync(file, "half");
      utimesSync(file, Date.now() / 1000 - age, Date.now() / 1000 - age);
    }
    assert.deepEqual(rowsOf(await openLines(dir, { cache })), expected);
    assert.deepEqual(readdirSync(cache).sort(), [name, `${name}.new.part`]);
  });

  test("a process that is killed or exits in the middle leaves no rows, and the next one reads all", async () => {
    const dir = folder({ "a.txt": content });
    const rule = (cache: string, end: string) => `
      import { findSources, openRows } from ${JSON.stringify(import.meta.resolve("@fmmformer/models"))};
      const dir = ${JSON.stringify(dir)};
      const sources = findSources({ reader: "test", layout: "a.txt", remedy: "write one" }, dir, ["a.txt"]);
      await openRows({
        ...{ name: "lines", sources, options: { upper: false }, cache: ${JSON.stringify(cache)} },
        async fill(add) {
          for (let row = 0; row < 3000; row++) add(Buffer.alloc(1000));
          ${end};
        },
      });`;
    for (const [end, left] of [
      ["process.kill(process.pid, 'SIGKILL')", 1],
      ["process.exit(3)", 0],
      ["setTimeout(() => { throw new Error('late') }); await new Promise(() => setTimeout(() => {}, 60000))", 0],
    ] as const) {
      const cache = folder();
      const script = join(folder({ "stop.mjs": rule(cache, end) }), "stop.mjs");
      const { status } = spawnSync(process.execPath, [...process.execArgv, script], { timeout: 60_000 });
      assert.notEqual(status, 0);
      const parts = readdirSync(cache);
      assert.equal(parts.length, left, end);
      assert.ok(parts.every((name) => /^lines-[0-9a-f]{16}\.rows\.[0-9a-f]+\.part$/.test(name)));
      assert.deepEqual(rowsOf(await openLines(dir, { cache })), expected);
    }
  });

  test("the bytes read are told, and reach those of the files", async () => {
    const dir = folder({ "a.txt": "0123456789\n".repeat(300_000) });
    const told: [number, number][] = [];
    await openRows({
      name: "lines",
      sources: findSources(wanted, dir, ["a.txt"]),
      options: {},
      cache: null,
      onProgress: (read, size) => told.push([read, size]),
      async fill(_, onBytes) {
        for await (const line of readLines("test", join(dir, "a.txt"), onBytes)) void line;
      },
    });
    assert.ok(told.length >= 3);
    assert.ok(told.every(([read, size], at) => size === 3_300_000 && read > (told[at - 1]?.[0] ?? 0)));
    assert.equal(told.at(-1)![0], 3_300_000);
  });

  test("a cache that cannot be written is a DataError with a remedy", async () => {
    const [dir, cache] = [folder({ "a.txt": content }), folder({ file: "" })];
    await assert.rejects(openLines(dir, { cache: join(cache, "file") }), (error) => {
      assert.ok(error instanceof DataError);
      assert.match(
        error.message,
        /^lines: expected a cache that can be written, got E.*; pass another folder as cache/,
      );
      return true;
    });
  });

  test("sources that are not there are refused with the layout and the remedy", () => {
    const message = /^DataError: test: expected a\.txt, got no a\.txt; write one \(/;
    assert.throws(() => findSources(wanted, folder(), ["a.txt"]), message);
    assert.throws(() => findSources(wanted, folder({ "a.txt/b": "" }), ["a.txt"]), message);
    const archive = join(folder({ "lra.tar.gz": "" }), "lra.tar.gz");
    const packed = /^DataError: test: expected a\.txt, got a file, not a folder; write one \(.*lra\.tar\.gz\)$/;
    assert.throws(() => findSources(wanted, archive, ["a.txt"]), packed);
    assert.throws(() => listFolder(wanted, archive, "files"), packed);
    assert.throws(() => listFolder(wanted, join(folder(), "none"), "files"), /got no such folder; write one/);
    assert.throws(
      () => findSources(wanted, folder(), ["a".repeat(5000)]),
      /^DataError: .*got ENAMETOOLONG.*; write one/,
    );
  });
});
