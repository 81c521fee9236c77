// The engine that runs programs in WebAssembly.
export { type WasmOptions, wasm } from "./wasm/engine.ts";
