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
const serve = `
const serve = ({ module, memory, control, worker }, begin) => {
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
    begin();
    exports.serve(control, worker);
  } catch (error) {
    Atomics.compareExchange(cells, control / 4 + 9, 0, 1);
    Atomics.notify(cells, control / 4 + 7);
    throw error;
  }
};
`;
const inNode = `${serve} serve(require("node:worker_threads").workerData, () => undefined);`;
const inPage = `${serve} onmessage = ({ data }) => { serve(data, () => postMessage("serving")); close(); };`;

/** What workers of an engine share. */
interface Host {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: number;
  readonly threads: number;
}

/**
 * Start workers 1 … threads − 1, which serve jobs from the same memory. They do not keep a process alive.
 *
 * @returns null where jobs can be given at once, as in Node; in a page, where workers start only once this thread has nothing else to do,
 * what is fulfilled when they serve
 */
export function startWorkers(host: Host): Promise<void> | null {
  const threads = workerThreads();
  if (!threads) return startInPage(host);
  for (const workerData of dataOf(host)) {
    // A worker that fails says so in memory, where the others wait for it.
    const started = new threads.Worker(inNode, { eval: true, execArgv: [], workerData });
    started.on("error", () => undefined);
    started.unref();
  }
  return null;
}

async function startInPage(host: Host): Promise<void> {
  const address = URL.createObjectURL(new Blob([inPage], { type: "text/javascript" }));
  try {
    await Promise.all(dataOf(host).map((data) => served(new Worker(address), data)));
  } finally {
    URL.revokeObjectURL(address);
  }
}

function served(worker: Worker, data: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = ({ message }) =>
      reject(
        new Error(`wasm: expected workers to start, got ${message || "one that did not"}; allow worker-src blob:`),
      );
    worker.postMessage(data);
  });
}

function dataOf({ threads, ...shared }: Host): object[] {
  return Array.from({ length: threads - 1 }, (_, i) => ({ ...shared, worker: i + 1 }));
}

/**
 * Whether this host has threads.
 *
 * @throws Error that says why not, and what helps
 */
export function expectThreads(threads: number): void {
  if (workerThreads()) return;
  const expected = `wasm: expected a host for ${threads} threads, got`;
  if (typeof Worker !== "function") {
    throw new Error(`${expected} one without workers; use Node 20.16 or later, or wasm({ threads: 1 })`);
  }
  if (!globalThis.crossOriginIsolated) {
    throw new Error(
      `${expected} a page that shares no memory; serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, or use wasm({ threads: 1 })`,
    );
  }
  if ("document" in globalThis) {
    throw new Error(
      `${expected} the main thread of a page, which must not wait; make the engine in a worker, or use wasm({ threads: 1 })`,
    );
  }
}

function workerThreads(): typeof import("node:worker_threads") | undefined {
  return globalThis.process?.getBuiltinModule?.("node:worker_threads");
}
