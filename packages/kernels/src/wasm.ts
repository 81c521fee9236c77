// The engine that runs programs in WebAssembly.
export { DonatedError } from "./donation.ts";
export { type WasmEngine, type WasmOptions, wasm } from "./wasm/engine.ts";
export { explain } from "./wasm/explain.ts";
export { profileTable } from "./wasm/profile-table.ts";
