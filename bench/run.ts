// npm run bench [-- NAME … --help]: times suites, a line for each case.
import { commandLine, optionsHelp, runCommand } from "./command-line.ts";
import { readable } from "./lines.ts";
import { measure } from "./measure.ts";
import { suites } from "./suites/suites.ts";

const names = Object.keys(suites);
const help = `npm run bench -- [NAME …] [OPTION …]

Times ${names.join(", ")}; all but scaling unless names are given.

${optionsHelp}

cpu is the time of all threads, a run. npm run profile shows where the time of a training step goes.`;

await runCommand(async () => {
  const settings = commandLine("bench", names);
  if (settings.help) return console.log(help);
  const chosen = settings.names.length > 0 ? settings.names : names.filter((name) => name !== "scaling");
  for (const name of chosen) {
    for (const one of suites[name](settings)) {
      const measured = await measure(name, one, settings);
      console.log(settings.json ? JSON.stringify(measured) : readable(measured));
    }
  }
});
