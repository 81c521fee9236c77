import { availableParallelism } from "node:os";

/** How many threads a command takes unless told: those of this machine, up to 4. Results are the same bits for any number. */
export const defaultThreads: number = Math.min(4, availableParallelism());
