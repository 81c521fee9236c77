import { InvalidArgumentError } from "commander";
import type { TaskOptions } from "../experiments/experiment.ts";

// What the text behind a flag stands for; what it cannot stand for is told.

export function whole(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError(`expected a whole number, got ${text}`);
}

export function count(text: string): number {
  const value = whole(text);
  if (value >= 1) return value;
  throw new InvalidArgumentError("expected a number from 1 on, got 0");
}

export function positive(text: string): number {
  const value = nonNegative(text);
  if (value > 0) return value;
  throw new InvalidArgumentError(`expected a number > 0, got ${text}`);
}

export function nonNegative(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && value < Infinity) return value;
  throw new InvalidArgumentError(`expected a number ≥ 0, got ${text}`);
}

export function share(text: string): number {
  const value = nonNegative(text);
  if (value < 1) return value;
  throw new InvalidArgumentError(`expected a number below 1, got ${text}`);
}

export function list(text: string): string[] {
  return text.split(",").filter((part) => part !== "");
}

export function numbers(text: string): number[] {
  return list(text).map(whole);
}

/** Numbers are numbers and the rest is text: the task knows what it wants. */
export function settings(text: string): TaskOptions {
  return Object.fromEntries(
    list(text).map((setting) => {
      const [, name, value] = /^([^=]+)=(.+)$/.exec(setting) ?? [];
      if (name === undefined) throw new InvalidArgumentError(`expected name=value, got ${setting}`);
      if (name === "dir" || name === "file") throw new InvalidArgumentError(`expected --data ${value}, got ${setting}`);
      return [name, String(Number(value)) === value ? Number(value) : value];
    }),
  );
}
