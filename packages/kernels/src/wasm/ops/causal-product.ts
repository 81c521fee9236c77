import { sizeOf } from "@fmmformer/autodiff/extend";
import type { Rule } from "../rule.ts";
import { causalChunk as chunk, padded } from "./operands.ts";

/** Tokens whose sums are taken on their own. */
const segment = 256;

/** The running sum of outer products in three steps: sums of segments, the states before each, and within a segment chunk by chunk. */
export const lowerCausalProduct: Rule = (b, { ins, outs, params }) => {
  const [q, k, v, state] = ins;
  const [n, f] = q.shape.slice(-2);
  const m = v.shape[v.shape.length - 1];
  const z = sizeOf(q.shape.slice(0, -2));
  const reverse = Number((params as { reverse: boolean }).reverse);
  const flop = 4 * z * n * f * m;
  const [o, last] = outs.map((y) => b.create(y));
  b.define(outs[0], o);
  b.define(outs[1], last);
  if (q.dtype === "float64") {
    const addresses = [...ins.map((x) => b.address(b.contiguous(x))), b.address(o), b.address(last)];
    const words = [...addresses, z, n, f, m, reverse];
    b.emit({ kernel: "causalProduct_float64", words, label: "causalProduct", flop }, [o, last]);
    return;
  }
  const parts = Math.ceil(n / segment);
  const states = b.space(z * parts * f * m * 4);
  const [qs, ks, vs] = [q, k, v].map((x) => b.address(b.contiguous(x)));
  const M = padded(m);
  const zero = b.view(state).source === 0;
  b.emit(
    {
      kernel: "causalSums",
      words: [z, n, f, m, segment, ks, vs, states],
      label: "causalProduct (sums)",
      scratch: 4 * (f * M + 64 * M),
      flop: flop / 2,
    },
    [],
  );
  const before = [z, parts, f * m, reverse, zero ? 0 : b.address(b.contiguous(state)), states, b.address(last)];
  b.emit({ kernel: "causalPrefix", words: before, label: "causalProduct (states)" }, [last]);
  b.emit(
    {
      kernel: "causalProduct",
      words: [z, n, f, m, segment, reverse, qs, ks, vs, states, b.address(o)],
      label: "causalProduct",
      scratch: 4 * ((f + 2 * chunk) * M + chunk * (padded(f) + chunk) + f * chunk + Math.max(M, chunk)),
      flop,
    },
    [o],
  );
};
