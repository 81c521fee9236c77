import { readFileSync } from "node:fs";
import { FmmformerError } from "@fmmformer/autodiff";
import { fromNamedTensors, namedTensors } from "../files/named-tensors.ts";
import { writeWhole } from "../files/write-whole.ts";
import { formatSafetensors, parseSafetensors, type Safetensors } from "../safetensors.ts";
import { differences, type Json } from "./differences.ts";
import type { TrainState } from "./stepper.ts";

/** A checkpoint that is damaged, or of another run. */
export class CheckpointError extends FmmformerError {}

/** What was best so far, on the validation split. */
export interface Best {
  readonly step: number;
  /** in nats */
  readonly loss: number;
  /** 0 … 1 */
  readonly accuracy: number;
}

/** A file from which a run goes on as if it had not been interrupted. */
export interface Checkpoint<Params> {
  readonly state: TrainState<Params>;
  /** All that decides how the run goes: another configuration cannot go on from here */
  readonly configuration: Json;
  /** null before the first evaluation */
  readonly best: Best | null;
  /** How long training took so far */
  readonly seconds: number;
}

const format = "fmmformer checkpoint 1";

/** Write a checkpoint, replacing the one before once the new one is whole. */
export function writeCheckpoint<Params>(path: string, checkpoint: Checkpoint<Params>): void {
  const { state, configuration, best, seconds } = checkpoint;
  const tensors = { ...namedTensors(state.params, "params"), ...namedTensors(state.optimizer, "optimizer") };
  const facts = { step: state.step, best, seconds };
  const metadata = { format, facts: JSON.stringify(facts), configuration: JSON.stringify(configuration) };
  writeWhole(path, formatSafetensors({ tensors, metadata }));
}

/** What a checkpoint must fit: parameters, what the optimizer remembers, and the configuration. */
export interface Expected<Params> {
  readonly params: Params;
  readonly optimizer: unknown;
  readonly configuration: Json;
}

/**
 * Read a checkpoint of a run.
 *
 * @throws CheckpointError when the file is damaged, or of a run with another configuration, with what differs
 */
export function readCheckpoint<Params>(path: string, expected: Expected<Params>): Checkpoint<Params> {
  const { tensors, configuration, facts } = openCheckpoint(path);
  const different = differences(configuration, expected.configuration);
  if (different.length > 0) {
    throw new CheckpointError(
      `checkpoint: expected ${path} to be of this configuration, got another one (${different.join("; ")}); ` +
        "give the options that it began with, or another folder",
    );
  }
  const { step, best, seconds } = facts;
  try {
    const params = fromNamedTensors(expected.params, only(tensors, "params"), "params");
    const optimizer = fromNamedTensors(expected.optimizer, only(tensors, "optimizer"), "optimizer");
    return { state: { params, optimizer, step }, configuration, best, seconds };
  } catch (cause) {
    throw damaged(path, cause);
  }
}

/**
 * Read what a checkpoint holds whatever its configuration: of another run, say, whose parameters are a start.
 *
 * @throws CheckpointError when the file is damaged
 */
export function openCheckpoint(path: string): {
  readonly tensors: Safetensors["tensors"];
  readonly configuration: Json;
  readonly facts: Pick<Checkpoint<unknown>, "best" | "seconds"> & { readonly step: number };
} {
  const bytes = readFileSync(path);
  try {
    const { tensors, metadata } = parseSafetensors(bytes);
    if (metadata.format !== format) {
      throw new CheckpointError(`checkpoint: expected format ${format}, got ${metadata.format ?? "none"}`);
    }
    return { tensors, configuration: JSON.parse(metadata.configuration), facts: JSON.parse(metadata.facts) };
  } catch (cause) {
    throw damaged(path, cause);
  }
}

function only(tensors: Safetensors["tensors"], prefix: string): Safetensors["tensors"] {
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => name.startsWith(`${prefix}.`)));
}

function damaged(path: string, cause: unknown): CheckpointError {
  const what = cause instanceof Error ? cause.message : String(cause);
  return new CheckpointError(`checkpoint: expected ${path} to be whole, got one where ${what}`, { cause });
}
