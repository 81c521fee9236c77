import { shared } from "./binary/shared.ts";
import { single } from "./binary/single.ts";
import { expectThreads, instantiate, startWorkers } from "./workers.ts";

/** The module at work: its memory, its functions by number, its workers. */
export interface Machine {
  readonly threads: number;
  /** Fulfilled when workers serve; null where there is nothing to wait for. */
  readonly starting: Promise<void> | null;
  /** Numbers of kernels and elementwise functions in the table, by name */
  readonly functions: ReadonlyMap<string, number>;
  /** Where free memory begins, in bytes */
  readonly base: number;
  /** Views of the whole memory as it is now; new ones after it has grown. */
  views(): Views;
  /** Make sure that memory reaches to `end`. */
  reach(end: number): void;
  /** Run the plan in words from `from` to `to`, with `scratch` bytes for each worker from `at` on. */
  run(from: number, to: number, at: number, scratch: number): void;
}

export interface Views {
  readonly float32: Float32Array;
  readonly float64: Float64Array;
  readonly int32: Int32Array;
  readonly bool: Uint8Array;
}

interface Exports {
  readonly base: WebAssembly.Global;
  start(control: number, from: number, to: number, scratch: number, bytes: number, workers: number): void;
}

const page = 65536;
/** What 32-bit addresses reach. */
const most = 65536;
/** Bytes before the scratch of each worker, for the rounds of loops: see assembly/run.ts. */
const rounds = 64;
/** Bytes of the control block, see assembly/barrier.ts. */
const controlBytes = 64;

export function openMachine(threads: number): Machine {
  if (threads > 1) expectThreads(threads);
  const bytes = Uint8Array.from(atob(threads > 1 ? shared : single), (c) => c.charCodeAt(0));
  if (!WebAssembly.validate(bytes)) {
    throw new Error(
      "wasm: expected a runtime with WebAssembly SIMD, got one that refuses it; use Node 20 or a browser of 2023 or later",
    );
  }
  const module = new WebAssembly.Module(bytes);
  const memory = new WebAssembly.Memory({ initial: 16, maximum: most, shared: threads > 1 });
  const { exports, functions } = instantiate(module, memory);
  const { base: free, start } = exports as unknown as Exports;
  const control = Math.ceil(free.value / 64) * 64;
  const base = control + controlBytes;
  let views = viewsOf(memory);
  const starting = threads > 1 ? startWorkers({ module, memory, control, threads }) : null;
  const machine: Machine = {
    threads,
    starting,
    functions,
    base,
    views: () => views,
    reach(end) {
      const missing = Math.ceil((end + 64) / page) - memory.buffer.byteLength / page;
      if (missing <= 0) return;
      try {
        memory.grow(missing);
      } catch {
        throw new RangeError(
          `wasm: expected at most ${most * page} bytes of memory, got a plan that needs ${end}; checkpoint parts of the model, or use smaller batches`,
        );
      }
      views = viewsOf(memory);
    },
    run(from, to, at, scratch) {
      if (from === to) return;
      try {
        start(control, from, to, at + rounds, scratch, threads);
      } catch (error) {
        if (threads === 1) throw error;
        const cells = new Int32Array(memory.buffer, control, controlBytes / 4);
        const cause = ["this thread failed", "a worker died", "a worker did not come within two minutes"][
          Atomics.load(cells, 9)
        ];
        Atomics.compareExchange(cells, 9, 0, 1); // the others must not wait for this one
        throw new Error(`wasm: expected all ${threads} threads to finish, but ${cause}; make a new engine`, {
          cause: error,
        });
      }
    },
  };
  if (threads > 1) dropped.register(machine, new Int32Array(memory.buffer, control, controlBytes / 4));
  return machine;
}

/** Workers end with a job that has none, once nobody can give them another. */
const dropped = new FinalizationRegistry<Int32Array>((cells) => {
  cells[5] = 0;
  Atomics.add(cells, 0, 1);
  Atomics.notify(cells, 0);
});

function viewsOf({ buffer }: WebAssembly.Memory): Views {
  return {
    float32: new Float32Array(buffer),
    float64: new Float64Array(buffer),
    int32: new Int32Array(buffer),
    bool: new Uint8Array(buffer),
  };
}
