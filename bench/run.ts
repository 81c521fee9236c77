// npm run bench [-- NAME … --help]: times suites, a line for each case.
import { commandLine, optionsHelp, runCommand } from "./command-line.ts";
import { readable, skippedLine } from "./lines.ts";
import { measure } from "./measure.ts";
import { suites } from "./suites/suites.ts";

const names = Object.keys(suites);
const onlyNamed = ["scaling", "gpu"];
const help = `npm run bench -- [NAME …] [OPTION …]

Times ${names.join(", ")}; all but ${onlyNamed.join(" and ")} unless names are given.

${optionsHelp}

cpu is the time of all threads, a run. npm run profile shows where the time of a training step goes.`;

await runCommand(async () => {
  const settings = commandLine("bench", names);
  if (settings.help) return console.log(help);
  const chosen = settings.names.length > 0 ? settings.names : names.filter((name) => !onlyNamed.includes(name));
  for (const name of chosen) {
    const medians = new Map<string, number>();
    for await (const one of suites[name](settings)) {
      if ("skipped" in one) {
        const { label, skipped } = one;
        console.log(settings.json ? JSON.stringify({ case: `${name} ${label}`, skipped }) : skippedLine(name, one));
        continue;
      }
      const measured = await measure(name, one, settings, medians);
      console.log(settings.json ? JSON.stringify(measured) : readable(measured));
    }
  }
});
