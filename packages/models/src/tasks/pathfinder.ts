import { epochOrder } from "./epoch-order.ts";
import { type ImageTask, imageTask, withoutBlack } from "./image-task.ts";
import { integerOptions, seedOption } from "./integer-options.ts";
import { drawPaths, emptyGround, endsOf } from "./pathfinder-paths.ts";
import { renderPathfinder } from "./render-pathfinder.ts";
import { placesBetween } from "./row-splits.ts";
import { stream } from "./stream.ts";
import type { Example, Split } from "./task.ts";

export interface PathfinderOptions {
  /** pixels along an edge; n = side²; 32 unless told */
  readonly side?: number;
  /** dashes of each of the two long paths; 14 unless told */
  readonly contourLength?: number;
  /** dashes of each short path; 4 unless told */
  readonly distractorLength?: number;
  /** how many short paths there are; 5 unless told */
  readonly distractors?: number;
  /** training images; 160,000 unless told */
  readonly train?: number;
  /** validation images; 20,000 unless told */
  readonly validation?: number;
  /** test images; 20,000 unless told */
  readonly test?: number;
  readonly seed?: number;
}

/**
 * Tell whether two discs are the ends of one dashed path, in an image read pixel by pixel:
 *
 *     two long paths and several short ones, none touching another; label 1: discs at both ends of one long path, 0: at one end of each
 *
 * Tokens are grey values 0 … 255, of which 0, the ground, is masked as the authors of the paper mask it. Examples 2e have label 0 and
 * 2e + 1 label 1. Paths are drawn until all fit, whatever the label. The splits draw from separate streams; training images come in a new
 * order every epoch. What decides a pixel is sums, products and square roots: the same seed gives the same bytes on every machine.
 *
 * @throws TypeError when an option is unknown / RangeError when one is out of bounds, or the paths do not fit in the image
 * @see Linsley, Kim, Veerabadran, Windolf, Serre (2018), Learning long-range spatial dependencies with horizontal gated recurrent units,
 *   https://arxiv.org/abs/1805.08315, with the sizes of Tay et al. (2020), Long Range Arena, https://arxiv.org/abs/2011.04006
 */
export function pathfinder(options: PathfinderOptions = {}): ImageTask {
  const { side, contourLength, distractorLength, distractors, train, validation, test, seed } = integerOptions(
    "pathfinder",
    options,
    {
      side: { default: 32, min: 8, max: 256 },
      contourLength: { default: 14, min: 2 },
      distractorLength: { default: 4, min: 1 },
      distractors: { default: 5, min: 0 },
      train: { default: 160_000, min: 1 },
      validation: { default: 20_000, min: 1 },
      test: { default: 20_000, min: 1 },
      seed: seedOption,
    },
  );
  const examples = { train, validation, test };
  const ground = emptyGround(side);
  const inOrder = epochOrder(seed, placesBetween(0, train), "all");

  function example(split: Split, index: number): Example {
    const place = split === "train" ? inOrder(index) : index;
    const random = stream(seed, split, place);
    const lengths = [contourLength, contourLength, ...new Array<number>(distractors).fill(distractorLength)];
    const label = place % 2;
    const paths = drawPaths(random, ground, lengths);
    const [ends, others] = random.below(2) === 0 ? [paths[0], paths[1]].map(endsOf) : [paths[1], paths[0]].map(endsOf);
    const discs = label === 1 ? ends : [ends[random.below(2)], others[random.below(2)]];
    const tokens = renderPathfinder(side, paths.flat(), discs);
    const mask = withoutBlack(tokens);
    return { tokens, mask, labels: Int32Array.of(label) };
  }

  return imageTask({
    name: "pathfinder",
    width: side,
    height: side,
    classes: 2,
    examples,
    example,
    caption: joinedOrNot,
  });
}

/** What a label says. */
export function joinedOrNot({ labels }: Example): string {
  return labels[0] === 1 ? "one path joins the discs" : "no path joins the discs";
}
