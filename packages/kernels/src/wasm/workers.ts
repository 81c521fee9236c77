/** What the module imports. */
export interface Imports {
  readonly env: {
    readonly memory: WebAssembly.Memory;
    /** Wait at most 100 ms for the number at an address to change. */
    sleep(address: number, seen: number): void;
    /** Wake all who sleep there. */
    rouse(address: number): void;
  };
}

/** Names of exports that are not in the table of functions. */
const apart = ["run", "start", "serve"];

/** What the module imports, over a memory whose low part holds all addresses that are slept on. */
function importsOf(memory: WebAssembly.Memory): Imports {
  const cells = new Int32Array(memory.buffer);
  return {
    env: {
      memory,
      sleep: (address, seen) => void Atomics.wait(cells, address >> 2, seen, 100),
      rouse: (address) => void Atomics.notify(cells, address >> 2),
    },
  };
}

/** Append every exported function but those set apart to the table, in the order of exports: the same in every instance. */
function fillTable(exports: WebAssembly.Exports): Map<string, number> {
  const table = exports.table as WebAssembly.Table;
  const names = Object.keys(exports).filter((name) => typeof exports[name] === "function" && !apart.includes(name));
  const from = table.grow(names.length);
  names.forEach((name, i) => {
    table.set(from + i, exports[name] as () => void);
  });
  return new Map(names.map((name, i) => [name, from + i]));
}

/** An instance of the module, its functions numbered. */
export function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): { readonly exports: WebAssembly.Exports; readonly functions: ReadonlyMap<string, number> } {
  const { exports } = new WebAssembly.Instance(module, importsOf(memory) as unknown as WebAssembly.Imports);
  return { exports, functions: fillTable(exports) };
}

// What a worker runs is text without dependencies: it must start from any bundle, with no loader of the host's. It does what
// `instantiate` does.
const source = `
const { workerData: { module, memory, control, worker } } = require("node:worker_threads");
const cells = new Int32Array(memory.buffer);
const env = {
  memory,
  sleep: (address, seen) => void Atomics.wait(cells, address >> 2, seen, 100),
  rouse: (address) => void Atomics.notify(cells, address >> 2),
};
try {
  const { exports } = new WebAssembly.Instance(module, { env });
  const names = Object.keys(exports).filter((name) => typeof exports[name] === "function" && !${JSON.stringify(apart)}.includes(name));
  const from = exports.table.grow(names.length);
  names.forEach((name, i) => exports.table.set(from + i, exports[name]));
  exports.serve(control, worker);
} catch (error) {
  Atomics.compareExchange(cells, control / 4 + 9, 0, 1);
  Atomics.notify(cells, control / 4 + 7);
  throw error;
}
`;

/** Start workers 1 … threads − 1, which serve jobs from the same memory. They do not keep the process alive. */
export function startWorkers(host: {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: number;
  readonly threads: number;
}): void {
  const { threads, ...shared } = host;
  const { Worker } = workerThreads();
  for (let worker = 1; worker < threads; worker++) {
    // A worker that fails says so in memory, where the others wait for it.
    const started = new Worker(source, { eval: true, execArgv: [], workerData: { ...shared, worker } });
    started.on("error", () => undefined);
    started.unref();
  }
}

function workerThreads(): typeof import("node:worker_threads") {
  const found = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  if (found) return found;
  throw new Error("wasm: expected Node 20.16 or later for threads, got another host; use wasm({ threads: 1 })");
}
