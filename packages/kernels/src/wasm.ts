// The engine that runs programs in WebAssembly.
export { DonatedError, type WasmOptions, wasm } from "./wasm/engine.ts";
