import { FmmformerError } from "@fmmformer/autodiff";

/** A run that cannot start, go on, or be read. */
export class RunError extends FmmformerError {}
