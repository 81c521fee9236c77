import { GPU } from "gpu.js";

/** What gpu.js holds for us. */
export interface Live {
  readonly kernels: number;
  /** Buffers and textures */
  readonly arrays: number;
}

type Method = (this: object, ...args: unknown[]) => unknown;

/** Count what is made from here on and still there. */
export function countLive(): () => Live {
  const instances: { readonly kernels: readonly unknown[] }[] = [];
  before(GPU.prototype, "chooseKernel", (instance) => instances.push(instance as GPU & { kernels: unknown[] }));
  const arrays = new Set<unknown>();
  const classes = globalThis as unknown as Record<string, { readonly prototype: object } | undefined>;
  const [device, buffer, context] = ["GPUDevice", "GPUBuffer", "WebGL2RenderingContext"].map(
    (name) => classes[name]?.prototype,
  );
  after(device, "createBuffer", (made) => arrays.add(made));
  before(buffer, "destroy", (which) => arrays.delete(which));
  after(context, "createTexture", (made) => arrays.add(made));
  before(context, "deleteTexture", (_, which) => arrays.delete(which));
  return () => ({
    kernels: instances.reduce((sum, { kernels }) => sum + kernels.length, 0),
    arrays: arrays.size,
  });
}

/** Have something done with what a method is called on and given, before it is called; the function that undoes it. */
export function before(
  prototype: object | undefined,
  name: string,
  note: (on: object, ...args: unknown[]) => void,
): () => void {
  return replace(
    prototype,
    name,
    (method) =>
      function (...args) {
        note(this, ...args);
        return method.apply(this, args);
      },
  );
}

/** The same with what it returned and was called on, after it was called. */
export function after(
  prototype: object | undefined,
  name: string,
  note: (result: unknown, on: object) => void,
): () => void {
  return replace(
    prototype,
    name,
    (method) =>
      function (...args) {
        const result = method.apply(this, args);
        note(result, this);
        return result;
      },
  );
}

/** Put another method in the place of one; the function that undoes it. */
export function replace(prototype: object | undefined, name: string, by: (method: Method) => Method): () => void {
  const own = prototype && Object.getOwnPropertyDescriptor(prototype, name);
  if (!prototype || !own) return () => {};
  Object.defineProperty(prototype, name, { ...own, value: by(own.value as Method) });
  return () => Object.defineProperty(prototype, name, own);
}
