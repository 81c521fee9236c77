import { fmmformer } from "../fmmformer.ts";
import { parameterCountOf } from "../parameter-count.ts";
import { presets } from "../presets.ts";

/** The command `models`. */
export function listModels({ json = false }: { json?: boolean }): void {
  const rows = presets.map(({ name, task, model }) => {
    const { attention } = model;
    const parameters = parameterCountOf(fmmformer(model));
    return {
      name,
      task,
      attention: attention.kind,
      bandwidth: "bandwidth" in attention ? attention.bandwidth : null,
      parameters,
    };
  });
  if (json) {
    console.log(JSON.stringify(rows, null, 2));
    return;
  }
  const width = Math.max(...rows.map(({ name }) => name.length));
  for (const { name, attention, parameters } of rows) {
    console.log(`${name.padEnd(width)}  ${attention.padEnd(15)}  ${parameters.toLocaleString("en").padStart(12)}`);
  }
}
