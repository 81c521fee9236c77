import { readFileSync } from "node:fs";
import { FmmformerError } from "@fmmformer/autodiff";
import { fromNamedTensors, namedTensors } from "../files/named-tensors.ts";
import { writeWhole } from "../files/write-whole.ts";
import { formatSafetensors, parseSafetensors, type Safetensors } from "../safetensors.ts";
import { differences, type Json } from "./differences.ts";
import { reasonOf } from "./run-error.ts";
import type { TrainState } from "./stepper.ts";

/** A checkpoint that is missing, damaged, or of another run. */
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
  /** What is known of the data; absent in older checkpoints */
  readonly data?: Json;
}

const format = "fmmformer checkpoint 1";

/** Write a checkpoint, replacing the one before once the new one is whole. */
export function writeCheckpoint<Params>(path: string, checkpoint: Checkpoint<Params>): void {
  const { state, configuration, best, seconds, data } = checkpoint;
  const tensors = { ...namedTensors(state.params, "params"), ...namedTensors(state.optimizer, "optimizer") };
  const facts = { step: state.step, best, seconds, data };
  const metadata = { format, facts: JSON.stringify(facts), configuration: JSON.stringify(configuration) };
  writeWhole(path, formatSafetensors({ tensors, metadata }));
}

/** What a checkpoint must fit: parameters, what the optimizer remembers, the configuration, and the data. */
export interface Expected<Params> {
  readonly params: Params;
  readonly optimizer: unknown;
  readonly configuration: Json;
  /** Anything unless told */
  readonly data?: Json;
}

/**
 * Read a checkpoint of a run.
 *
 * @throws CheckpointError when the file is missing or damaged, or of a run with another configuration or other data, with what differs
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
  const { step, ...known } = facts;
  const other = known.data && expected.data ? differences(known.data, expected.data) : [];
  if (other.length > 0) {
    throw new CheckpointError(
      `checkpoint: expected the data that ${path} began with, got other data (${other.join("; ")}); give that, or another folder`,
    );
  }
  try {
    const params = fromNamedTensors(expected.params, only(tensors, "params"), "params");
    const optimizer = fromNamedTensors(expected.optimizer, only(tensors, "optimizer"), "optimizer");
    return { state: { params, optimizer, step }, configuration, ...known };
  } catch (cause) {
    throw damaged(path, cause);
  }
}

/**
 * Read what a checkpoint holds whatever its configuration: of another run, say, whose parameters are a start.
 *
 * @throws CheckpointError when the file is missing or damaged
 */
export function openCheckpoint(path: string): {
  readonly tensors: Safetensors["tensors"];
  readonly configuration: Json;
  readonly facts: Pick<Checkpoint<unknown>, "best" | "seconds" | "data"> & { readonly step: number };
} {
  const bytes = bytesOf(path);
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

function bytesOf(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new CheckpointError(
      `checkpoint: expected a file at ${path}, got ${reasonOf(cause)}; a run has its best parameters from its first validation on: ` +
        "train on with --resume, or begin it anew",
      { cause },
    );
  }
}

function damaged(path: string, cause: unknown): CheckpointError {
  const got = `one where ${reasonOf(cause)}`;
  return new CheckpointError(
    `checkpoint: expected ${path} to be whole, got ${got}; begin the run anew, or give another folder`,
    { cause },
  );
}
