import assert from "node:assert/strict";
import { test } from "node:test";
import { add, jit, matmul, random, reshape, type Tensor, trace, transpose } from "@fmmformer/autodiff";
import { agree } from "@fmmformer/kernels/laws";
import { explain, wasm } from "@fmmformer/kernels/wasm";

// Matrix products where their kernel does something of its own: at the edges of tiles, where k is taken in chunks, and where it is cut into
// parts that are summed in the end.

const engines = [wasm(), wasm({ threads: 2 }), wasm({ threads: 3 })];

function drawn(seed: number, ...shape: number[]): Tensor {
  return random.normal(random.key(seed), shape);
}

/** The product of (n, k) and (k, m) in the order in which operands lie, N or T each: what engines find, compared with the value rule. */
function alike(n: number, k: number, m: number, layout: string, behind: (y: Tensor) => Tensor = (y) => y): void {
  const [a, b] = [
    drawn(n + k, ...(layout[0] === "T" ? [k, n] : [n, k])),
    drawn(k + m, ...(layout[1] === "T" ? [m, k] : [k, m])),
  ];
  const seen = (x: Tensor, at: number): Tensor => (layout[at] === "T" ? transpose(x) : x);
  const f = (x: Tensor, y: Tensor): Tensor => behind(matmul(seen(x, 0), seen(y, 1)));
  const wanted = f(a, b);
  const [first, ...others] = engines.map((engine) => jit(f, { engine })(a, b));
  agree(`matmul ${layout} ${n} ${k} ${m}`, first, wanted, { tolerance: 1e-6 * Math.sqrt(k) });
  for (const other of others) assert.deepEqual(other.data, first.data);
}

test("tiles at all edges, in all layouts", () => {
  for (const layout of ["NN", "NT", "TN", "TT"]) {
    for (const m of [2, 3, 4, 5, 8, 9, 15, 16, 17, 20, 24, 25, 31, 33]) alike(2 + (m % 5), 7, m, layout);
    for (const n of [2, 3, 5, 9, 17, 64, 65, 67]) alike(n, 13, 19, layout);
  }
});

test("long products, in chunks and in parts", () => {
  for (const layout of ["NN", "NT", "TN", "TT"]) {
    for (const [n, k, m] of [
      [18, 63, 21],
      [70, 257, 18],
      [66, 300, 40],
      [200, 130, 24],
      [9, 2048, 17],
      [33, 4096, 20],
      [5, 2311, 6], // a prime: no parts
      [12, 1536, 9],
    ]) {
      alike(n, k, m, layout);
    }
  }
});

test("what a layer adds, at the edges and behind chunks", () => {
  const bias = (m: number) => (y: Tensor) => add(y, drawn(1, m));
  const both = (n: number, m: number) => (y: Tensor) => add(add(y, drawn(1, m)), drawn(2, n, m));
  for (const [n, k, m] of [
    [7, 5, 16],
    [6, 5, 35],
    [65, 600, 22],
    [11, 2048, 19],
  ]) {
    for (const layout of ["NN", "TN"]) {
      alike(n, k, m, layout, bias(m));
      alike(n, k, m, layout, both(n, m));
    }
  }
});

test("parts of batched products", () => {
  const [a, b] = [drawn(1, 2, 1, 3000, 6), drawn(2, 1, 3, 3000, 5)];
  const f = (x: Tensor, y: Tensor): Tensor => matmul(transpose(x, [0, 1, 3, 2]), y);
  for (const engine of engines) agree("matmul", jit(f, { engine })(a, b), f(a, b), { tolerance: 1e-4 });
});

test("a product with few results and a long k is cut into parts, others are not", () => {
  const parts = (f: (x: Tensor, y: Tensor) => Tensor, x: Tensor, y: Tensor): boolean =>
    explain(trace(f)(x, y)).includes("matmul (parts)");
  const outer = (x: Tensor, y: Tensor): Tensor => matmul(transpose(x), y);
  assert.ok(parts(outer, drawn(1, 4096, 64), drawn(2, 4096, 64)));
  assert.ok(!parts(outer, drawn(1, 1024, 64), drawn(2, 1024, 64)));
  assert.ok(!parts(matmul, drawn(1, 4096, 8), drawn(2, 8, 4)));
  assert.ok(!parts((x, y) => add(outer(x, y), reshape(drawn(3, 64), [64])), drawn(1, 4096, 64), drawn(2, 4096, 64)));
});
