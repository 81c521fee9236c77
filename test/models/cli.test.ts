import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { digits, inspectTask, parseSafetensors } from "@fmmformer/models";

const folder = mkdtempSync(join(tmpdir(), "fmmformer-"));
after(() => rmSync(folder, { recursive: true }));

const node = ["--conditions=@fmmformer/source", "--import=tsx", resolve("packages/models/src/cli/fmmformer.ts")];

/** Run the command in the folder of these tests. */
function fmmformer(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [...node, ...args], {
    cwd: folder,
    encoding: "utf8",
    env: env(),
    timeout: 120_000,
  });
}

/** tsx finds its configuration and packages from the repository, wherever the command runs. */
function env(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_OPTIONS: "", TSX_TSCONFIG_PATH: resolve("tsconfig.json"), NO_COLOR: "1" };
}

const tiny = ["--width", "8", "--hidden", "8", "--layers", "1", "--steps", "6", "--batch", "4"];
const result = (out: string) => JSON.parse(readFileSync(join(folder, out, "result.json"), "utf8"));

node.splice(1, 1, `--import=${import.meta.resolve("tsx")}`);

test("a run leaves its folder, is evaluated to the same numbers, and is not overwritten", () => {
  const trained = fmmformer("train", "switch-board", ...tiny, "--out", "a");
  assert.equal(trained.status, 0, trained.stderr);
  assert.match(trained.stdout, /^test accuracy \d+\.\d+ %, loss .* parameters of step 6 /);
  const files = readdirSync(join(folder, "a")).map((name) => name.replace(/\d{13}$/, "TIME"));
  assert.deepEqual(files.sort(), [
    ...["best.safetensors", "checkpoint.safetensors", "events.out.tfevents.TIME", "metrics.jsonl", "report.html"],
    ...["result.json", "run.json"],
  ]);
  assert.match(trained.stderr, /validation at step 6: loss/);
  assert.match(trained.stderr, /\ntest split: 50 % of \d+ batches measured\n/);
  const { test: measured } = result("a");
  const evaluated = fmmformer("evaluate", "a");
  assert.ok(evaluated.stdout.includes(`loss ${measured.loss.toFixed(4)}`), evaluated.stdout + evaluated.stderr);
  assert.match(evaluated.stderr, /^test split: 10 % of \d+ batches measured\n/);

  const again = fmmformer("train", "switch-board", ...tiny, "--out", "a");
  assert.deepEqual([again.status, again.stdout], [1, ""]);
  assert.match(again.stderr, /^error: run: expected a folder without a run, got a, which has one; [^\n]*\n$/);
  const other = fmmformer("train", "switch-board", ...tiny, "--seed", "1", "--out", "a", "--resume");
  assert.match(
    other.stderr,
    /error: run: expected the configuration that a began with, got another one \(seed: 0, now 1\)/,
  );
});

test("Ctrl-C while files are read leaves nothing in the cache", async () => {
  writeFileSync(join(folder, "long.txt"), "the owl and the cat went out to see\n".repeat(400_000));
  const cache = join(folder, "cache");
  const args = ["data", "characters", "--data", "long.txt", "--set", `cache=${cache}`];
  const child = spawn(process.execPath, [...node, ...args], { cwd: folder, env: env(), timeout: 120_000 });
  let parts: string[] = [];
  const code = await new Promise((done) => {
    child.stderr.on("data", (said) => {
      if (child.killed || !/[789]0 %/.test(String(said))) return;
      parts = readdirSync(cache);
      child.kill("SIGINT");
    });
    child.on("close", done);
  });
  assert.equal(code, 130);
  assert.deepEqual(
    parts.map((name) => name.endsWith(".part")),
    [true],
  );
  assert.deepEqual(readdirSync(cache), []);
});

/** Run 400 steps with signals in between, and what came of it. */
async function interrupted(
  args: readonly string[],
  signals: readonly NodeJS.Signals[],
): Promise<{ readonly code: unknown; readonly said: string }> {
  const child = spawn(process.execPath, [...node, ...args], {
    cwd: folder,
    env: env(),
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 120_000,
  });
  let said = "";
  const code = await new Promise((done) => {
    child.stderr.on("data", (part) => {
      said += part;
      if (!child.killed && /step \d+ of 400/.test(said)) for (const signal of signals) child.kill(signal);
    });
    child.on("close", done);
  });
  return { code, said };
}

test("Ctrl-C leaves a checkpoint, and the run that goes on from it equals an unbroken one", async () => {
  const long = ["train", "switch-board", ...tiny, "--steps", "400", "--batch", "16"];
  // Two signals that wait for one step are no wish to stop without a checkpoint.
  const { code, said } = await interrupted([...long, "--out", "broken"], ["SIGINT", "SIGTERM"]);
  assert.equal(code, 130, said);
  assert.match(
    said,
    /stopped after \d+ of 400 steps; go on with\n {2}fmmformer train switch-board .* --out broken --resume\n/,
  );
  assert.ok(!existsSync(join(folder, "broken", "result.json")));
  const resumed = fmmformer(...long, "--out", "broken", "--resume");
  const whole = fmmformer(...long, "--out", "whole");
  assert.deepEqual([resumed.status, whole.status], [0, 0], resumed.stderr + whole.stderr);
  const parameters = (out: string) => parseSafetensors(readFileSync(join(folder, out, "best.safetensors"))).tensors;
  const bits = (out: string) => Object.entries(parameters(out)).map(([name, { data }]) => [name, ...data]);
  assert.deepEqual(bits("broken"), bits("whole"));
  assert.deepEqual(result("broken").test, result("whole").test);
});

test("a run until a step is measured as it is, and goes on by what it says", () => {
  const words = ["train", "switch-board", ...tiny, "--evaluate-every", "2", "--out", "first"];
  const first = fmmformer(...words, "--until", "2");
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, /stopped after 2 of \d+ steps; go on with\n {2}fmmformer train .* --out first --resume\n/);
  const measured = fmmformer("evaluate", "first");
  assert.match(measured.stdout, /^test accuracy .* with the parameters of step 2\n$/, measured.stderr);
  const rest = fmmformer(...words, "--resume");
  assert.equal(rest.status, 0, rest.stderr);
  assert.ok(existsSync(join(folder, "first", "result.json")));
});

test("attention of a user's own is trained as ours is", () => {
  writeFileSync(
    join(folder, "mean-attention.mjs"),
    `import { mean, broadcastTo } from ${JSON.stringify(import.meta.resolve("@fmmformer/autodiff"))};
    export const attention = { init: () => ({}), apply: (_, q, k, v) => broadcastTo(mean(v, { axis: -2, keepDims: true }), v.shape) };`,
  );
  const trained = fmmformer("train", "switch-board", ...tiny, "--attention", "mean-attention.mjs");
  assert.equal(trained.status, 0, trained.stderr);
  assert.equal(result("runs/switch-board-mean-attention-0").model, "mean-attention");
  const missing = fmmformer("train", "switch-board", ...tiny, "--attention", "none.mjs");
  assert.match(missing.stderr, /^error: attention: expected a module, got none.mjs, which is not there\n$/);
});

test("pretrained parameters are taken where they fit", () => {
  const sizes = ["--quick", "--width", "8", "--hidden", "8", "--layers", "1", "--steps", "4", "--batch", "4"];
  const pretrained = fmmformer("pretrain", "digits", ...sizes);
  assert.equal(pretrained.status, 0, pretrained.stderr);
  const start = join("runs", "digits-fmm-0-pretraining", "best.safetensors");
  const trained = fmmformer("train", "digits", ...sizes, "--from", start);
  assert.equal(trained.status, 0, trained.stderr);
  assert.match(trained.stderr, /\d+ tensors are those of .*; new: (params\.head\.\w+\.\w+(, )?){4}\n/);
  assert.match(fmmformer("pretrain", "switch-board", ...tiny).stderr, /^error: pretrain: expected one of listops, /);
});

test("compare trains what is not trained yet, and claims no order of fewer than three seeds", () => {
  const args = ["compare", "switch-board", "--attentions", "fmm,band", ...tiny, "--out", "both"];
  const { status, stdout, stderr } = fmmformer(...args);
  assert.equal(status, 0, stderr);
  assert.match(
    stdout,
    /^attention +accuracy % +paper +loss +parameters +tokens\/s +MiB\nfmm +\d+\.\d+ +– +\d.*\nband /,
  );
  assert.match(stdout, /one seed: no order is claimed of fewer than three\n$/);
  assert.equal(fmmformer(...args).stdout, stdout, "runs are not made again");

  const three = fmmformer(...args, "--seeds", "0,1,2", "--json");
  assert.equal(three.status, 0, three.stderr);
  const rows = JSON.parse(three.stdout) as { accuracy: object; seeds: number[]; peakMemory: number }[];
  const shares = [0, 1, 2].map((seed) => result(`both/band-${seed}`).test.accuracy as number);
  const mean = shares.reduce((sum, x) => sum + x, 0) / 3;
  const deviation = Math.sqrt(shares.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 2);
  assert.deepEqual(rows[1].accuracy, { mean, deviation });
  assert.deepEqual(rows[1].seeds, [0, 1, 2]);
  assert.ok(rows[1].peakMemory > 1e7);
  const page = readFileSync(join(folder, "both", "switch-board-compared.html"), "utf8");
  assert.match(page, /over 3 seeds; (fmm|band) [&≈].* (fmm|band), where ≈/);
});

test("compare takes no run for another that had other options", () => {
  const args = ["compare", "switch-board", "--attentions", "fmm", ...tiny, "--out", "both"];
  const refused = fmmformer(...args, "--learning-rate", "0.5");
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /got another one \(optimizer\.schedule\.peak: 0\.01, now 0\.5\)/);
  const anew = fmmformer(...args, "--learning-rate", "0.5", "--force");
  assert.equal(anew.status, 0, anew.stderr);
  assert.equal(result("both/fmm-0").configuration.optimizer.schedule.peak, 0.5);
  assert.match(fmmformer(...args, "--learning-rate", "0.5", "--force").stderr, /step \d of 6/, "it is run again");
});

test("compare counts a model by two names, or named twice, as one", () => {
  const args = ["compare", "switch-board", "--attentions", "fmm,fmm,fmm", "--seeds", "7,7", ...tiny, "--json"];
  const { stdout, stderr } = fmmformer(...args, "--out", "named");
  assert.deepEqual(
    (JSON.parse(stdout) as { seeds: number[] }[]).map(({ seeds }) => seeds),
    [[7]],
    stderr,
  );
});

test("compare hands on a signal that it alone got, and says how to go on", async () => {
  const args = ["compare", "switch-board", "--attentions", "fmm", ...tiny, "--steps", "400", "--batch", "16"];
  const { code, said } = await interrupted([...args, "--out", "halted"], ["SIGINT"]);
  assert.equal(code, 130, said);
  assert.match(
    said,
    /stopped after \d+ of 400 steps;.*\n.*\ncompare: stopped at halted.fmm-0; go on with\n {2}fmmformer compare .* --out halted\n$/,
  );
  assert.ok(existsSync(join(folder, "halted", "fmm-0", "checkpoint.safetensors")));
});

test("a model that names the next token writes on, and is trained on another task's inputs", () => {
  const copied = [
    "--quick",
    "--width",
    "8",
    "--hidden",
    "8",
    "--layers",
    "1",
    "--steps",
    "3",
    "--batch",
    "2",
    "--validations",
    "2",
    "--tests",
    "1",
  ];
  const trained = fmmformer("train", "copy", ...copied, "--out", "c");
  assert.equal(trained.status, 0, trained.stderr);
  const { batches, tests } = result("c").configuration.evaluation;
  assert.deepEqual([batches, tests], [2, 1]);
  assert.match(trained.stdout, /^test accuracy .*, perplexity \d+\.\d+ with/);
  const write = ["generate", "c", "--prompt", "3 1 4 0 3", "--length", "4"];
  const written = fmmformer(...write);
  assert.match(written.stdout, /^3 1 4 0 3( \d+){4}\n$/, written.stderr);
  assert.equal(fmmformer(...write, "--seed", "0", "--threads", "2").stdout, written.stdout);
  assert.match(fmmformer("generate", "c", "--prompt", "3 11").stderr, /^error: generate: expected token ids in 0 … 10/);
  assert.match(fmmformer("generate", "a").stderr, /^error: generate: expected a run that names the next token/);
  const json = fmmformer("evaluate", "c", "--split", "validation", "--json");
  const { split, loss } = JSON.parse(json.stdout);
  assert.deepEqual([split, loss], ["validation", result("c").best.loss]);

  const causal = fmmformer("pretrain", "digits", ...copied, "--attention", "fast-weight", "--causal", "--out", "next");
  assert.equal(causal.status, 0, causal.stderr);
  assert.equal(result("next").task, "digits, next token");
  const from = fmmformer("train", "digits", ...copied, "--attention", "fast-weight", "--causal", "--from", "next");
  assert.match(from.stderr, /new: (params\.head\.\w+\.\w+(, )?){4}\n/);
  const none = fmmformer("train", "digits", ...copied, "--from", "nowhere");
  assert.match(
    none.stderr,
    /^error: train: expected a run or a checkpoint to begin with, got nowhere, which is none\n$/,
  );
});

test("presets are listed with their parameters, and a task is shown", () => {
  const { stdout } = fmmformer("models", "--json");
  const listed = JSON.parse(stdout) as { name: string; parameters: number }[];
  assert.equal(listed.find(({ name }) => name === "listops/fmm-2-kernel-band5")?.parameters, 209_814);
  const picture = ["--split", "test", "--picture", "digits.png"];
  const shown = fmmformer("data", "digits", "--set", "side=7", "--examples", "1", ...picture);
  const task = digits({ side: 7 });
  const report = inspectTask(task, { split: "test", shown: 1 });
  assert.equal(
    shown.stdout,
    `digits: classify, 8 ids, 49 tokens, 10 classes
  train      7,000
  validation 1,000
  test       2,000
  options    side, levels, seed
  tokens of 500 test examples: 49 to 49, median 49
  of each class: ${report.classes.join(" ")}

${report.examples[0]}

digits.png has images
`,
  );
  assert.deepEqual(new Uint8Array(readFileSync(join(folder, "digits.png"))), new Uint8Array(report.picture!));
  const none = fmmformer("data", "copy", "--picture", "copy.png");
  assert.match(none.stderr, /^error: data: expected a task of images for --picture, got copy\n$/);
  assert.ok(!existsSync(join(folder, "copy.png")));
});

test("a profile tells where the time of a step goes and writes nothing, whoever stops reading it", () => {
  const args = ["profile", "digits", "--attention", "band", ...tiny.slice(0, 6), "--batch", "4", "--runs", "2"];
  const before = readdirSync(folder);
  const { stdout, stderr } = fmmformer(...args);
  const lines = stdout.trimEnd().split("\n");
  assert.match(lines[0], /^kind +how many +MFLOP +MB +ms +share +GFLOP\/s +GB\/s$/, stderr);
  assert.ok(lines.some((line) => line.startsWith("nearField.pullback")));
  const last =
    /^digits, band: (\d+) parameters, 4 × 196 tokens a step, threads \d+; 2 steps, median [\d.]+ ms, minimum [\d.]+: \d+ tokens\/s, [\d.]+ MB at once$/;
  assert.match(lines[lines.length - 1], last);
  const { tokens, kinds } = JSON.parse(fmmformer(...args, "--json").stdout) as {
    tokens: number;
    kinds: { ms: number }[];
  };
  assert.equal(tokens, 4 * 196);
  assert.ok(kinds.every(({ ms }) => ms >= 0));
  const head = spawnSync("sh", ["-c", '"$@" | head -1', "sh", process.execPath, ...node, ...args], {
    cwd: folder,
    encoding: "utf8",
    env: env(),
  });
  assert.deepEqual([head.stdout.match(/^kind .*\n$/)?.length, head.stderr], [1, ""]);
  assert.deepEqual(readdirSync(folder), before);
});

test("options of a task are numbers or text, and go to its reader where there are files", () => {
  const small = fmmformer("data", "listops", "--set", "size=small,train=50", "--examples", "1");
  assert.match(small.stdout, /^listOps: classify, 16 ids, 32 tokens, 10 classes\n {2}train +50\n/, small.stderr);
  const long = fmmformer("data", "listops", "--set", "train=1,validation=1,test=1", "--examples", "1").stdout.trimEnd();
  assert.match(long, /\n\[.{399} … .* = \d$/, "the middle of a long line is left out");
  const lists = `Source\tTarget\r\n${"( ( ( [SM 5 ) 8 ) ] )\t3\r\n".repeat(40)}`;
  mkdirSync(join(folder, "lists"));
  for (const split of ["train", "val", "test"]) writeFileSync(join(folder, "lists", `basic_${split}.tsv`), lists);
  const read = ["--data", "lists", "--set", "maxLength=4,cache=none"];
  assert.match(
    fmmformer("data", "listops", ...read).stdout,
    /^listOps: classify, 16 ids, 4 tokens, .*\n {2}train +40\n/,
  );
  const sizes = ["--width", "8", "--hidden", "8", "--layers", "1", "--steps", "2", "--batch", "4"];
  const trained = fmmformer("train", "listops", "--quick", ...sizes, ...read, "--out", "lists-run");
  assert.equal(trained.status, 0, trained.stderr);
  const { name, options } = result("lists-run").configuration.task;
  assert.deepEqual([name, options], ["listops", { maxLength: 4, cache: "none" }]);
  const unknown = fmmformer("data", "listops", "--data", "lists", "--set", "size=small");
  assert.match(unknown.stderr, /^error: listops: expected options dir, .* or maxLength, got "size"; did you mean/);
});

test("text is a folder or a file, and words go by the name of their experiment too", () => {
  writeFileSync(join(folder, "rhyme.txt"), "the owl and the cat went out to see\n".repeat(60));
  const read = ["--data", "rhyme.txt", "--set", "length=8,cache=none"];
  const [words, lm] = ["words", "lm"].map((name) => fmmformer("data", name, ...read));
  assert.match(words.stdout, /^words: label-tokens, 9 ids, 8 tokens, 9 classes\n/, words.stderr);
  assert.equal(lm.stdout, words.stdout);
  assert.match(fmmformer("data", "characters", ...read).stdout, /^characters: label-tokens, 14 ids, 8 tokens, /);
  const there = fmmformer("data", "characters", "--set", "file=rhyme.txt");
  assert.match(there.stderr, /^error: .*expected --data rhyme\.txt, got file=rhyme\.txt\n$/);
});

test("runs on text are evaluated by a window that slides over it", () => {
  const words = "sun moon star sea sky owl cat".split(" ");
  const told = Array.from({ length: 4000 }, (_, i) => `${words[(i * i) % 7]} ${words[(3 * i + 1) % 7]}`).join("\n");
  writeFileSync(join(folder, "told.txt"), told);
  const read = ["--data", "told.txt", "--set", "length=16,cache=none"];
  const small = ["--quick", "--width", "8", "--hidden", "8", "--layers", "1", "--steps", "3", "--batch", "2"];
  for (const name of ["characters", "words"]) {
    const trained = fmmformer("train", name, ...read, ...small, "--heads", "2", "--tests", "2", "--out", name);
    assert.equal(trained.status, 0, trained.stderr);
    const { stdout, stderr } = fmmformer("evaluate", name, "--json", "--batches", "1");
    const { loss, sliding } = JSON.parse(stdout);
    assert.match(stderr, new RegExp(`\\n${name}, window: step \\d+ of \\d+, loss \\d.*tokens/s\\n`));
    assert.deepEqual([sliding.window, sliding.stride], [16, 1]);
    assert.equal(sliding.perplexity, Math.exp(sliding.loss));
    assert.equal(sliding.bitsPerCharacter, name === "words" ? undefined : sliding.loss / Math.LN2);
    // Windows side by side tell what examples ask.
    const apart = fmmformer("evaluate", name, "--json", "--batches", "1", "--stride", "16");
    const aside = JSON.parse(apart.stdout);
    assert.equal(aside.loss, loss);
    assert.ok(Math.abs(aside.sliding.loss - loss) < 1e-5 && Math.abs(sliding.loss - loss) > 1e-5, apart.stdout);
    assert.equal(aside.sliding.tokens, 16 * (name === "words" ? 8 : 32));
  }
  const shown = fmmformer("evaluate", "characters", "--window", "8", "--stride", "4");
  assert.match(
    shown.stdout,
    /^test accuracy .*\ntest perplexity \d+\.\d\d, \d\.\d{4} bits per character with a window of 8, stride 4, over \d+ tokens\n$/,
  );
  const refused: [string[], RegExp][] = [
    [
      ["characters", "--window", "17"],
      /\nerror: evaluate: expected window ≤ 16, which the model has positions for, got 17\n$/,
    ],
    [["characters", "--window", "4", "--stride", "5"], /\nerror: evaluate: expected stride ≤ window \(4\), got 5\n$/],
    [
      ["a", "--stride", "2"],
      /^error: evaluate: expected a run of words or characters for --window and --stride, got one of switch/,
    ],
  ];
  for (const [args, message] of refused) assert.match(fmmformer("evaluate", ...args).stderr, message);
});

test("figures are written with their numbers", () => {
  const drawn = fmmformer("figure", "efficiency", "--lengths", "64,128", "--seconds", "1");
  assert.equal(drawn.status, 0, drawn.stderr);
  for (const file of ["efficiency.json", "efficiency-time.svg", "efficiency-memory.svg"]) {
    assert.ok(existsSync(join(folder, "figures", file)), file);
  }
  fmmformer("train", "switch-board", ...tiny, "--attention", "softmax", "--out", "s");
  const ranked = fmmformer("figure", "rank", "s", "--examples", "1");
  assert.match(ranked.stdout, /^whole: rank \d+\.\d of 48 on average, 95 % of the squares in \d+\.\d\n/, ranked.stderr);
  assert.match(ranked.stderr, /rank: 50 % of 2 maps\nrank: 100 % of 2 maps\n$/);
  const curves = fmmformer("figure", "curves", "s");
  assert.equal(curves.stdout, "figures has the numbers and two figures of 1 run\n", curves.stderr);
  assert.match(readFileSync(join(folder, "figures", "curves-loss.svg"), "utf8"), /^<svg .*softmax/s);
  const foreign = join(folder, "foreign");
  mkdirSync(foreign);
  writeFileSync(join(foreign, "run.json"), '{ "program": "another" }');
  for (const other of ["nowhere", "foreign"]) {
    const refused = new RegExp(`^error: run: expected a folder of fmmformer train, got ${other}\n$`);
    for (const command of [
      ["figure", "curves"],
      ["figure", "rank"],
    ]) {
      assert.match(fmmformer(...command, other).stderr, refused);
    }
  }
});

test("ranks are of the first of a pair, and of no pretraining; one task makes one figure of curves", () => {
  mkdirSync(join(folder, "pairs"));
  const pairs = Array.from({ length: 8 }, (_, i) => `${i % 2}\tA\tB\tpaper ${i}\ta longer one\n`).join("");
  for (const split of ["train", "eval", "test"]) {
    writeFileSync(join(folder, "pairs", `new_aan_pairs.${split}.tsv`), pairs);
  }
  const read = ["--data", "pairs", "--set", "maxLength=16,cache=none", "--quick"];
  const trained = fmmformer("train", "retrieval", ...read, ...tiny, "--attention", "softmax", "--out", "p");
  assert.equal(trained.status, 0, trained.stderr);
  const ranked = fmmformer("figure", "rank", "p", "--examples", "2", "--bandwidths", "2");
  assert.match(ranked.stdout, /^whole: rank \d+\.\d of 7 on average, /, ranked.stderr);

  const pretrained = fmmformer("pretrain", "retrieval", ...read, ...tiny, "--attention", "softmax", "--out", "hidden");
  assert.equal(pretrained.status, 0, pretrained.stderr);
  assert.match(
    fmmformer("figure", "rank", "hidden").stderr,
    /^error: rank: expected a run of train, got hidden, a run of pretrain; train --from hidden, and give that run\n$/,
  );
  const mixed = fmmformer("figure", "curves", "p", "hidden", "--out", "mixed");
  assert.match(
    mixed.stderr,
    /^error: curvesFigure: expected curves of one task, got retrieval; retrieval, pretraining; /,
  );
  assert.ok(!existsSync(join(folder, "mixed")));

  const configuration = JSON.parse(readFileSync(join(folder, "p", "run.json"), "utf8"));
  for (const [out, changed] of Object.entries({ reseeded: { seed: 1 }, longer: { steps: configuration.steps + 1 } })) {
    cpSync(join(folder, "p"), join(folder, out), { recursive: true });
    writeFileSync(join(folder, out, "run.json"), JSON.stringify({ ...configuration, ...changed }));
  }
  assert.match(fmmformer("figure", "curves", "p", "reseeded").stdout, /two figures of 2 runs\n$/);
  assert.equal(
    fmmformer("figure", "curves", "p", "reseeded", "longer").stderr,
    "error: figure curves: expected runs of softmax that differ in their seeds alone, got p and longer " +
      `(steps: ${configuration.steps}, now ${configuration.steps + 1}); name each run with --names\n`,
  );
  const named = fmmformer("figure", "curves", "p", "longer", "--names", "as planned,a step longer");
  assert.equal(named.status, 0, named.stderr);
  assert.match(readFileSync(join(folder, "figures", "curves-loss.svg"), "utf8"), /loss of as planned, a step longer/);
  assert.match(
    fmmformer("figure", "curves", "p", "longer", "--names", "one").stderr,
    /^error: figure curves: expected a name for each of 2 runs, got 1\n$/,
  );
});

test("what is no command, task, attention or number is told in a line with the nearest one", () => {
  writeFileSync(join(folder, "one.txt"), "one");
  const cases: [string[], number, RegExp][] = [
    [["trian", "digits"], 2, /^error: unknown command 'trian'; did you mean train\n$/],
    [["train", "digits", "--stepz", "3"], 2, /^error: unknown option '--stepz'; did you mean --steps\n$/],
    [["train", "digits", "--steps", "many"], 2, /^error: .*expected a whole number, got many\n$/],
    [["train", "swich-board"], 1, /^error: experiment: expected task .*; did you mean switch-board\n$/],
    [["train", "digits", "--attention", "ffm"], 1, /^error: experiment: expected attention .*; did you mean fmm\n$/],
    [
      ["train", "text"],
      1,
      /^error: text: expected a folder \(dir, or --data DIR\) with .*; unpack aclImdb_v1.* of https.*\n$/,
    ],
    [
      ["train", "listops", "--preset", "listops/linear", "--attention", "fmm"],
      2,
      /^error: option '--preset <name>' cannot be used with option '--attention <name>'; give one of them\n$/,
    ],
    [
      ["train", "digits", "--resume", "--force"],
      2,
      /^error: option '--resume' cannot .*'--force'; give one of them\n$/,
    ],
    [["compare", "digits", "--seed", "3"], 2, /^error: unknown option '--seed'; did you mean --seeds\n$/],
    [
      ["compare", "digits", "--attention", "fmm"],
      2,
      /^error: unknown option '--attention'; did you mean --attentions\n$/,
    ],
    [["compare", "digits", "--preset", "listops/linear"], 2, /^error: unknown option '--preset'/],
    [["data", "text", "--set", "maxLength"], 2, /^error: .*expected name=value, got maxLength\n$/],
    [
      ["train", "digits", "--data", "x"],
      1,
      /^error: digits: expected no folder, got \S+x; this task makes its examples\n$/,
    ],
    [
      ["data", "characters", "--data", join("one.txt", "x")],
      1,
      /^error: characters: expected wiki.*, got a file, not a folder; .*\n$/,
    ],
    [["evaluate", "nowhere"], 1, /^error: run: expected a folder of fmmformer train, got nowhere\n$/],
  ];
  for (const [args, code, message] of cases) {
    const { status, stderr } = fmmformer(...args);
    assert.equal(status, code, stderr);
    assert.match(stderr, message);
  }
  assert.match(fmmformer("train", "swich-board", "--debug").stderr, /\n {4}at /);
  assert.match(
    fmmformer("train", "--help").stdout,
    /--seed <n> +for parameters, dropout and [^-]*the data are the\s+same/,
  );
});
