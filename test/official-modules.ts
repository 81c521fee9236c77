import { add, mul, notEqual, random, reshape, split, swapAxes, type Tensor, transpose } from "@fmmformer/autodiff";
import { meanCrossEntropy } from "@fmmformer/kernels";
import {
  type AttentionSizes,
  attention,
  type BlendNames,
  type BlendParams,
  classifier,
  layerNorm,
  multiHeadAttention,
  type OfficialConfig,
  type OfficialModule,
  officialAttention,
  type Safetensors,
} from "@fmmformer/models";

// The authors' modules, rebuilt from what a fixture says of itself: functions of its tensors by their own names, so that differentiating
// them gives the gradients by those names too.

/** Tensors by the names that the file has for them. */
export type Named = { readonly [name: string]: Tensor };

/** Outputs by the names that the file has for them: `out`, which takes the cotangent of the file, or a `loss`. */
export type Rebuilt = (inputs: Named) => Named;

type Init = { init(key: Tensor): unknown };

/**
 * Rebuild the module that a fixture is of.
 *
 * @throws TypeError or RangeError when the fixture names a module, a blend or a kernel that is not known
 */
export function rebuild({ metadata, tensors }: Safetensors): Rebuilt {
  const code = metadata.code as OfficialModule;
  switch (code) {
    case "LRA SparseLowrankAttention":
      return lraAttention(metadata, tensors);
    case "CausalFMMAttention":
      return copyAttention(metadata, tensors);
    case "MultiHeadAttnSparseLowrank":
    case "MultiHeadAttnSparseFastWeight":
      return languageSublayer(metadata);
    case "LRA ModelForSC":
      return lraModel(metadata, tensors);
    default:
      throw new TypeError(`fixtures: expected the name of a released module as code, got ${JSON.stringify(code)}`);
  }
}

type Metadata = Safetensors["metadata"];

/** What a module without the field in question leaves out, or calls None or 0. */
function given(value: string | undefined): value is string {
  return value !== undefined && !/^(none|nan|0)?$/i.test(value.trim());
}

/** The names in `elu,elu_flip`, `elu elu_flip` or `['elu', 'elu_flip']`. */
function namesIn(list: string): string[] {
  return list.match(/\w+/g) ?? [];
}

function isTrue(value: string): boolean {
  return /^(true|1)$/i.test(value.trim());
}

function configOf({ code, sparse_ratio, kernels, diag_size }: Metadata): OfficialConfig {
  return {
    code: code as OfficialModule,
    sparseRatio: Number(sparse_ratio),
    ...(given(kernels) && { kernels: namesIn(kernels) }),
    ...(given(diag_size) && { bandwidth: Number(diag_size) }),
  };
}

/** The learned weights of a blend in our shapes. */
function blendOf(fresh: unknown, names: BlendNames, weight: (name: string) => Tensor): BlendParams {
  const like = (fresh as { readonly blend: BlendParams }).blend;
  const shaped = (name: string, { shape }: Tensor): Tensor => reshape(weight(name), shape);
  return {
    ...(names.near && { near: shaped(names.near, like.near as Tensor) }),
    ...(names.far && { far: shaped(names.far, like.far as Tensor) }),
    ...(names.kernels && { kernels: names.kernels.map((name, i) => shaped(name, (like.kernels as Tensor[])[i])) }),
  };
}

function fresh(layer: Init): { readonly [name: string]: unknown } {
  return layer.init(random.key(0)) as never;
}

function lraAttention(metadata: Metadata, { q: { shape } }: Named): Rebuilt {
  const { attention: options, names } = officialAttention(configOf(metadata));
  const [, heads, , headWidth] = shape;
  const core = attention(options, { width: heads * headWidth, heads, headWidth, causal: false });
  const like = fresh(core);
  return ({ q, k, v, mask, ...rest }) => {
    const params = { ...like, blend: blendOf(like, names, (name) => rest[`param.${name}`]) };
    const o = core.apply(params, q, k, v, { x: q, mask: mask ?? null }); // (b, h, n, d)
    if (!mask) return { out: o };
    const [b, n] = mask.shape;
    return { out: mul(o, reshape(mask, [b, 1, n, 1])) };
  };
}

function copyAttention({ bandwidth, kernels, sparse }: Metadata, tensors: Named): Rebuilt {
  const { shape } = tensors.q;
  const { attention: options, names } = officialAttention({
    code: "CausalFMMAttention",
    ...(given(bandwidth) && { bandwidth: Number(bandwidth) }),
    kernelCount: Number(kernels),
    sparse: given(sparse) ? isTrue(sparse) : "param.W1" in tensors,
  });
  const [, , heads, headWidth] = shape;
  const sizes: AttentionSizes = { width: heads * headWidth, heads, headWidth, causal: true };
  const core = attention(options, sizes);
  const like = fresh(core);
  return ({ q, k, v, ...rest }) => {
    const params = { ...like, blend: blendOf(like, names, (name) => rest[`param.${name}`]) };
    const [x, y, z] = [q, k, v].map((t) => swapAxes(t, 1, 2)); // (b, h, n, d)
    return { out: swapAxes(core.apply(params, x, y, z, { x }), 1, 2) };
  };
}

function languageSublayer(metadata: Metadata): Rebuilt {
  const { attention: options, names } = officialAttention(configOf(metadata));
  const [width, heads, headWidth] = [metadata.d_model, metadata.heads, metadata.head_dim].map(Number);
  const mix = multiHeadAttention({ width, heads, headWidth, causal: true, bias: false, attention: options });
  const normalize = layerNorm({ width });
  const like = fresh(mix).attention as object;
  const before = given(metadata.pre_lnorm) && isTrue(metadata.pre_lnorm);
  return ({ input, ...rest }) => {
    const weight = (name: string): Tensor => rest[`param.${name}`];
    // Rows by head, within a head those of q, k and v.
    const parts = split(reshape(weight("qkv_net.weight"), [heads, 3, headWidth, width]), 3, { axis: 1 });
    const [query, key, value] = parts.map((part) => ({ weight: transpose(reshape(part, [heads * headWidth, width])) }));
    const beta = weight("beta_net.weight");
    const params = {
      query,
      key,
      value,
      output: { weight: transpose(weight("o_net.weight")) },
      attention: {
        ...like,
        ...(beta && { far: { beta: { weight: transpose(beta) } } }),
        blend: blendOf(like, names, weight),
      },
    };
    const x = swapAxes(input, 0, 1); // (b, n, c)
    const gain = { gain: weight("layer_norm.weight"), bias: weight("layer_norm.bias") };
    const y = before
      ? add(x, mix.apply(params, normalize.apply(gain, x)))
      : normalize.apply(gain, add(x, mix.apply(params, x)));
    return { out: swapAxes(y, 0, 1) };
  };
}

function lraModel(metadata: Metadata, tensors: Named): Rebuilt {
  const { attention: options, names } = officialAttention(configOf(metadata));
  const [vocabulary, width] = tensors["param.model.embeddings.word_embeddings.weight"].shape;
  const [length] = tensors["param.model.embeddings.position_embeddings.weight"].shape;
  const [layers, heads, hidden] = [metadata.layers, metadata.heads, metadata.ffn].map(Number);
  const classes = tensors.logits.shape[1];
  const sizes = { vocabulary, length, classes, width, layers, heads, headWidth: Number(metadata.head_dim), hidden };
  const model = classifier({ ...sizes, pooling: "padded-mean", attention: options });
  const like = model.init(random.key(0));
  return ({ tokens, mask, labels, ...rest }) => {
    const weight = (name: string): Tensor => rest[`param.${name}`];
    const linear = (name: string) => ({ weight: transpose(weight(`${name}.weight`)), bias: weight(`${name}.bias`) });
    const norm = (name: string) => ({ gain: weight(`${name}.weight`), bias: weight(`${name}.bias`) });
    const blocks = like.encoder.blocks.map(({ attention: { attention: own } }, i) => {
      const at = `model.transformer_${i}`;
      return {
        attentionNorm: norm(`${at}.norm1`),
        attention: {
          query: linear(`${at}.mha.W_q`),
          key: linear(`${at}.mha.W_k`),
          value: linear(`${at}.mha.W_v`),
          output: linear(`${at}.mha.ff`),
          attention: { ...(own as object), blend: blendOf(own, names, (name) => weight(`${at}.mha.attn.${name}`)) },
        },
        feedForwardNorm: norm(`${at}.norm2`),
        feedForward: { up: linear(`${at}.mlpblock.0`), down: linear(`${at}.mlpblock.3`) },
      };
    });
    const params = {
      encoder: {
        embedding: {
          tokens: { table: weight("model.embeddings.word_embeddings.weight") },
          positions: { table: weight("model.embeddings.position_embeddings.weight") },
        },
        blocks,
        norm: norm("model.norm"),
      },
      head: { hidden: linear("seq_classifer.mlpblock.0"), output: linear("seq_classifer.mlpblock.2") },
    };
    const logits = model.apply(params, tokens, { mask: mask ?? notEqual(tokens, 0) });
    return { loss: reshape(meanCrossEntropy(logits, labels), [1]), logits };
  };
}
