import type { Engine } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";

let made: Engine | undefined;

/** What runs training and evaluation unless told: WebAssembly on one thread. One engine, so that its memory is shared. */
export function defaultEngine(): Engine {
  made ??= wasm();
  return made;
}
