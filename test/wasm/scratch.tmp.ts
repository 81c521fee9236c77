import { add, broadcastTo, exp, jit, mul, plain, reshape, sum, tensor, transpose, random, zeros, ones, type Tensor, checkpoint, matmul, tanh, grad } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
const engine = wasm();
const t = (name: string, f: () => void) => { try { console.log("==", name); f(); } catch (e) { console.log("  THROWS", String(e).slice(0, 300)); } };
t("swap donated residents", () => {
  const f = jit((a: Tensor, b: Tensor) => [add(a, 1), mul(b, 2)] as const, { engine, donate: [0, 1] });
  const [x, y] = f(tensor([1, 2]), tensor([10, 20]));
  const [u, v] = f(y, x);
  console.log(String(u), String(v), "expected 21 41 ; 4 6");
});
t("stale after ordinary", () => {
  const f = jit((a: Tensor, b: Tensor) => [add(a, 1), mul(b, 2)] as const, { engine, donate: [0, 1] });
  const [x, y] = f(tensor([1, 2]), tensor([10, 20]));
  const [u, v] = f(x, y);
  try { f(tensor([7, 7]), y); } catch (e) { console.log(String(e)); }
  console.log(String(u), String(v), "expected 3 4; 40 80");
});
t("unrefinable cheap roots", () => {
  const [x, b] = [random.normal(random.key(1), [8, 3]), random.normal(random.key(2), [6, 4])];
  const f = (x: Tensor, b: Tensor) => add(reshape(mul(x, 2), [6, 4]), b);
  console.log(String(jit(f, { engine })(x, b)) === String(f(x, b)));
});
t("late copy", () => {
  const [x, b, c] = [random.normal(random.key(1), [4, 6]), random.normal(random.key(2), [4, 6]), random.normal(random.key(2), [8, 3])];
  const f = (x: Tensor, b: Tensor, c: Tensor) => {
    const y = exp(add(x, b));
    const t = transpose(y);
    const m = matmul(t, y);
    const z = tanh(exp(c));
    const w = mul(reshape(y, [8, 3]), z);
    return [m, w];
  };
  const [p, q] = [jit(f, { engine })(x, b, c), f(x, b, c)];
  console.log(p.map((a, i) => String(a) === String(q[i])));
});
t("too large", () => {
  const f = jit((s: Tensor) => { const x = exp(broadcastTo(s, [33000, 33000])); const y = tanh(add(x, reshape(broadcastTo(s, [33000, 33000]), [33000, 33000]))); return sum(matmul(x, transpose(y))); }, { engine });
  console.log(String(f(tensor(1))));
});
t("after too large", () => {
  const big = random.normal(random.key(3), [1000]);
  const g = jit((x: Tensor) => add(x, big), { engine });
  const h = jit((x: Tensor) => sum(exp(mul(add(matmul(x, x), transpose(x)), 0.001))), { engine });
  const m = random.normal(random.key(4), [60, 60]);
  console.log(String(h(m)), String(jit((x: Tensor) => sum(exp(mul(add(matmul(x, x), transpose(x)), 0.001))))(m)));
  console.log(String(g(big)) === String(add(big, big)));
  console.log(String(h(m)), String(g(big)) === String(add(big, big)));
});
