#!/usr/bin/env node
import { program } from "./program.ts";
import { reportError } from "./report-error.ts";

// Whoever reads the output may have seen enough of it, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

try {
  await program().parseAsync();
} catch (error) {
  reportError(error);
}
