// A page of a real browser for tests: an entry is bundled and served from this process, and its functions are called from here.
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";

const executable = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Why tests in a browser cannot run here; false where they can: `test(name, { skip: withoutBrowser }, …)`. */
export const withoutBrowser: string | false = existsSync(executable)
  ? false
  : `no browser at ${executable}; install chromium, or say where it is in CHROMIUM`;

/** What a page is opened with. */
export interface PageOptions {
  /** File whose exported functions are called in the page; from the root of the repository */
  readonly entry: string;
  /** Load the entry in a worker of the page instead of the page itself; false unless told. */
  readonly worker?: boolean;
  /** Whether the page is cross-origin isolated, so that memory can be shared; true unless told. */
  readonly isolated?: boolean;
  /** Flags of the browser besides those that keep it quiet */
  readonly flags?: readonly string[];
}

/** An entry at work in a page. */
export interface Page<Entry> {
  /** Call a function of the entry with what can be written as JSON, typed arrays and numbers that are none included. */
  evaluate<Name extends keyof Entry & string>(
    name: Name,
    ...args: ArgumentsOf<Entry[Name]>
  ): Promise<ResultOf<Entry[Name]>>;
  close(): Promise<void>;
}

type ArgumentsOf<F> = F extends (...args: infer A) => unknown ? A : never;
type ResultOf<F> = F extends (...args: never) => infer R ? Awaited<R> : never;

const quiet = [
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const files: Readonly<Record<string, readonly [type: string, text: string]>> = {
  "/": ["text/html", '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>entry</title>'],
  "/here.js": [
    "text/javascript",
    'import * as entry from "/entry.js"; globalThis.callEntry = (name, args) => entry[name](...args);',
  ],
  "/worker.js": [
    "text/javascript",
    `import * as entry from "/entry.js";
    onmessage = async ({ data: [name, args], ports: [port] }) => {
      try { port.postMessage({ value: await entry[name](...args) }); } catch (error) { port.postMessage({ error }); }
    };`,
  ],
  "/there.js": [
    "text/javascript",
    `const worker = new Worker("/worker.js", { type: "module" });
    const failed = new Promise((_, reject) => { worker.onerror = ({ message }) => reject(new Error(message)); });
    failed.catch(() => undefined);
    const answered = (name, args) => new Promise((resolve, reject) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }) => { port1.close(); "error" in data ? reject(data.error) : resolve(data.value); };
      worker.postMessage([name, args], [port2]);
    });
    globalThis.callEntry = (name, args) => Promise.race([answered(name, args), failed]);`,
  ],
};

/**
 * Open a page with an entry. It must be closed, for it is a process.
 *
 * @throws Error when the entry does not bundle, or the browser does not start
 */
export async function openPage<Entry>(options: PageOptions): Promise<Page<Entry>> {
  const { entry, worker = false, isolated = true, flags = [] } = options;
  const server = await serve(await bundled(entry), isolated);
  let browser: Browser | undefined;
  const close = async (): Promise<void> => {
    await browser?.close();
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  try {
    browser = await chromium.launch({ executablePath: executable, args: [...quiet, ...flags] });
    const page = await browser.newPage();
    const troubles: string[] = [];
    page.on("pageerror", ({ message }) => troubles.push(message));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.addScriptTag({ type: "module", url: worker ? "/there.js" : "/here.js" });
    return {
      async evaluate(name, ...args) {
        const call = ([name, args]: [string, unknown[]]): unknown =>
          (globalThis as unknown as { callEntry(name: string, args: unknown[]): unknown }).callEntry(name, args);
        try {
          return (await page.evaluate(call, [name, args] as [string, unknown[]])) as ResultOf<Entry[typeof name]>;
        } catch (error) {
          throw troubles.length > 0 ? new Error(troubles.join("\n"), { cause: error }) : error;
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function bundled(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2023",
    conditions: ["@fmmformer/source"],
    logLevel: "silent",
  });
  return outputFiles[0].text;
}

async function serve(script: string, isolated: boolean): Promise<Server> {
  const headers: Readonly<Record<string, string>> = isolated
    ? { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" }
    : {};
  const server = createServer(({ url = "" }, response) => {
    const [type, text] = url === "/entry.js" ? ["text/javascript", script] : (files[url] ?? ["text/plain", ""]);
    response.writeHead(text === "" ? 404 : 200, { ...headers, "Content-Type": `${type}; charset=utf-8` }).end(text);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}
