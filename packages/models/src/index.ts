export { type Progress, type ProgressOptions, type ProgressStream, type ProgressValues, progress } from "./progress.ts";
export type { AttentionMap, Band } from "./report/attention-figure.ts";
export type { Matrix } from "./report/heat-map.ts";
export type { Curve } from "./report/learning-curves.ts";
export { type Report, renderReport, writeReport } from "./report/report.ts";
export type { ResultRow } from "./report/results-table.ts";
export { type AssociativeRecallOptions, associativeRecall } from "./tasks/associative-recall.ts";
export { type CopyOptions, copy } from "./tasks/copy.ts";
export { type DigitsOptions, type DigitsTask, digits } from "./tasks/digits.ts";
export {
  decodeListOps,
  encodeListOps,
  evaluateListOps,
  type ListOpsOptions,
  listOps,
  listOpsSizes,
} from "./tasks/list-ops.ts";
export { type SwitchBoardOptions, type SwitchBoardTask, switchBoard } from "./tasks/switch-board.ts";
export { type Batch, defineTask, type Example, type Split, type Task, type TaskFacts } from "./tasks/task.ts";
