#!/usr/bin/env node
import { program } from "./program.ts";
import { reportError } from "./report-error.ts";

try {
  await program().parseAsync();
} catch (error) {
  reportError(error);
}
