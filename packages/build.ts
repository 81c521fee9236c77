/**
 * Builds what is published: dist/ of each package, then build/<package>, checked by publint and attw, and its tarball.
 *
 *     npm run build && npm publish ./build/autodiff
 *
 * npm takes `exports` from package.json alone, so the condition that points to the sources is removed from the copy.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const names = readdirSync("packages", { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? entry.name : [],
);

for (const name of names) rmSync(`packages/${name}/dist`, { recursive: true, force: true });
run("tsc", "-b", ...names.map((name) => `packages/${name}`));

for (const name of names) {
  const folder = `build/${name}`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(`packages/${name}/dist`, `${folder}/dist`, { recursive: true });
  cpSync(`packages/${name}/README.md`, `${folder}/README.md`);
  cpSync("LICENSE", `${folder}/LICENSE`);
  const { devDependencies, ...manifest } = JSON.parse(readFileSync(`packages/${name}/package.json`, "utf8"));
  for (const conditions of Object.values<Record<string, string>>(manifest.exports))
    delete conditions["@fmmformer/source"];
  writeFileSync(`${folder}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);

  run("publint", "--strict", folder);
  run("attw", "--pack", folder, "--profile", "esm-only", "--quiet");
  run("npm", "pack", "--silent", "--pack-destination=build", `./${folder}`);
}

function run(command: string, ...args: string[]): void {
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
