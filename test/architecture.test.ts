import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize, relative } from "node:path";
import { test } from "node:test";
import ts from "typescript";

/** Each package with the packages it may import. */
const below: Record<string, readonly string[]> = {
  autodiff: [],
  kernels: ["autodiff"],
  models: ["autodiff", "kernels"],
};

type Manifest = Record<"exports" | "dependencies" | "peerDependencies", Record<string, unknown> | undefined>;

const packages = readdirSync("packages", { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => {
    const manifest = JSON.parse(readFileSync(`packages/${name}/package.json`, "utf8")) as Manifest;
    return {
      name,
      exports: Object.keys(manifest.exports ?? {}).map((path) => `@fmmformer/${name}${path.slice(1)}`),
      dependencies: Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }),
      sources: readdirSync(`packages/${name}/src`, { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts"))
        .map((file) => readSource(join("packages", name, "src", file))),
    };
  });

const sources = packages.flatMap((pack) => pack.sources);
const publicNames = packages.flatMap((pack) => pack.exports);

function readSource(file: string) {
  const text = readFileSync(file, "utf8");
  const specifiers = (code: string) => ts.preProcessFile(code).importedFiles.map((found) => found.fileName);
  const typeOnly = /^(import|export) type [^;]*? from "[^"]*";/gm;
  return { file, imports: specifiers(text), runtimeImports: specifiers(text.replace(typeOnly, "")) };
}

const isRelative = (specifier: string) => specifier.startsWith(".");
const packageOf = (specifier: string) => /^(@[^/]+\/)?[^/]+/.exec(specifier)![0];

test("dependencies point one way: models → kernels → autodiff", () => {
  assert.deepEqual(packages.map((pack) => pack.name).sort(), Object.keys(below).sort());
  for (const { name, dependencies } of packages) {
    const ours = dependencies.filter((dependency) => dependency.startsWith("@fmmformer/"));
    assert.deepEqual(
      ours,
      below[name].map((lower) => `@fmmformer/${lower}`),
      `packages/${name}/package.json`,
    );
  }
});

test("a package imports only itself, node, and what its package.json declares", () => {
  for (const { name, dependencies, sources } of packages) {
    for (const { file, imports } of sources) {
      for (const specifier of imports.filter((specifier) => !isRelative(specifier) && !specifier.startsWith("node:"))) {
        assert.ok(dependencies.includes(packageOf(specifier)), `${file}: ${name} does not declare ${specifier}`);
      }
    }
  }
});

test("nobody imports another package's inside", () => {
  for (const { name, sources } of packages) {
    for (const { file, imports } of sources) {
      for (const specifier of imports) {
        const inside = isRelative(specifier)
          ? relative(join("packages", name, "src"), join(dirname(file), specifier)).startsWith("..")
          : specifier.startsWith("@fmmformer/") && !publicNames.includes(specifier);
        assert.ok(!inside, `${file}: ${specifier} is not a public name`);
      }
    }
  }
});

test("files import each other without cycles, types aside", () => {
  const graph = new Map(
    sources.map(({ file, runtimeImports }) => [
      file,
      runtimeImports.filter(isRelative).map((specifier) => normalize(join(dirname(file), specifier))),
    ]),
  );
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    assert.equal(start, -1, `import cycle: ${[...path.slice(start), file].join(" → ")}`);
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
});

test("file names say what is inside, in kebab-case", () => {
  for (const { file } of sources) {
    const name = basename(file, ".ts");
    assert.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/, `${file} is not in kebab-case`);
    assert.doesNotMatch(name, /\b(util|helper|common|misc|manager)s?\b/, `${file} does not say what is inside`);
  }
});
