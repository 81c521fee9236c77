import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.env.FMMFORMER_FIXTURES ?? "../shared/fixtures/official";
const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".safetensors")) : [];

/** The official fixtures that are at hand. */
export const fixtures: readonly { readonly name: string; readonly bytes: Uint8Array }[] = names.map((name) => ({
  name,
  bytes: readFileSync(join(folder, name)),
}));

/** Why they cannot be compared; false where they can. */
export const withoutFixtures: string | false = names.length === 0 && `no fixtures in ${folder}`;
