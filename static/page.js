// Connects the pad and the pictures with the reader and the answer.

import { Announcer } from "./announcer.js";
import { AnswerView, isNumber } from "./answer.js";
import { ApiError } from "./api.js";
import { element } from "./elements.js";
import { listenForFiles } from "./files.js";
import { areDots, isDrawing } from "./ink.js";
import { drawWithKeys } from "./keyboard.js";
import { Pad } from "./pad.js";
import { Picture } from "./picture.js";
import { drawWithPointers } from "./pointer.js";
import { Reader } from "./reader.js";
import { Sketch } from "./sketch.js";
import { load, save } from "./storage.js";
import { Toolbar } from "./toolbar.js";

const { readUrl = "", explainUrl = "", maxBytes, labels = "" } = element("page", HTMLElement).dataset;
/** @type {Record<string, string>} */
const texts = JSON.parse(labels);
const sheet = element("sheet", HTMLElement);
const canvas = element("pad", HTMLCanvasElement);
const live = element("live", HTMLInputElement);
const correction = element("correction", HTMLFormElement);
const toolbar = new Toolbar({
  undo: () => retrace("undo"),
  redo: () => retrace("redo"),
  erase: toggleEraser,
  clear,
  predict: readNow,
  turn: turnPicture,
  play: togglePlayback,
  explain: toggleExplanation,
  copy: copyAnswer,
  link: copyLink,
});
const { buttons } = toolbar;

const sketch = new Sketch();
const pad = new Pad(canvas, sketch);
const picture = new Picture(element("picture", HTMLImageElement), element("outline", SVGElement));
const announcer = new Announcer(element("announcements", HTMLElement));
const answerView = new AnswerView(element("answer", HTMLElement), announcer, explainChosen);
const reader = new Reader(readUrl, Number(maxBytes), () => picture.file ?? sketch.strokes, {
  onAnswer(answer) {
    showAnswer(answer);
    keepInHistory(answer);
  },
  onReplay: (prediction) => answerView.showPrediction(prediction, true),
  onError: showError,
});
// Loaded when needed.
/** @type {{ kept?: Promise<Kept | null>, explanation?: ExplanationView, playback?: Playback, batch?: BatchList }} */
const loaded = {};

/**
 * Show the answer to what is on the sheet.
 * @param {ReadInput} answer
 */
function showAnswer(answer) {
  const { input, prediction } = answer;
  if (reader.keep(answer)) correction.reset();
  answerView.showPrediction(prediction, sketch.isDrawing || (!(input instanceof Blob) && areDots(input)));
  if (picture.file) picture.outline(prediction);
  if (!sketch.isDrawing) explainChosen();
  buttons.predict.hidden = live.checked;
  updateAnswerTools();
}

/** @param {ApiError} error */
function showError(error) {
  reader.keep(null);
  updateAnswerTools();
  answerView.showError(error);
  if (!error.isTransient) buttons.predict.hidden = false; // to try again
}

/** Await no answer, and complete the entry of the history: other input follows. */
function endInput() {
  reader.cancel();
  loaded.kept?.then((kept) => kept?.history.closeEntry());
}

/** Show that there is nothing to read. */
function showEmpty() {
  endInput();
  loaded.explanation?.stop();
  answerView.showState("empty");
}

// ---- drawings ----

/** @type {WeakMap<Stroke[], Prediction>} The predictions of drawings opened from the history need no request. */
const knownPredictions = new WeakMap();

function onSketchInput() {
  const { strokes, isEmpty } = sketch;
  loaded.playback?.stop();
  loaded.explanation?.clearSubject();
  if (!isEmpty && picture.isShown) {
    endInput();
    picture.remove();
  }
  const known = knownPredictions.get(strokes);
  if (isEmpty) {
    if (!picture.isShown) showEmpty();
  } else if (known) {
    reader.cancel();
    showAnswer({ input: strokes, prediction: known });
  } else if (live.checked) {
    reader.read();
  } else {
    reader.cancel();
    answerView.showState("waiting");
  }
  updateTools();
}

function onSketchChange() {
  save("sessionStorage", "digits.drawing", sketch.strokes);
  // The answer was provisional while the pen was down.
  if (reader.answer) showAnswer(reader.answer);
}

function readNow() {
  if (sketch.isEmpty && !picture.file) return;
  reader.cancel();
  reader.read();
}

/** @param {"undo" | "redo"} step */
function retrace(step) {
  reader.cancel();
  sketch[step]();
}

function toggleEraser() {
  buttons.erase.ariaPressed = String(buttons.erase.ariaPressed === "false");
}

function clear() {
  loaded.batch?.clear();
  picture.remove();
  sketch.clear();
  showEmpty();
  updateTools();
}

async function togglePlayback() {
  const { Playback } = await import("./playback.js");
  loaded.playback ??= new Playback(buttons.play, pad, (strokes) => reader.replay(strokes), onPlaybackEnd);
  if (loaded.playback.isPlaying) {
    loaded.playback.stop();
  } else if (!sketch.isEmpty) {
    reader.cancel();
    loaded.explanation?.clearSubject();
    loaded.playback.play(sketch.strokes);
  }
}

/** @param {Stroke[]} strokes */
function onPlaybackEnd(strokes) {
  if (sketch.strokes === strokes) readNow();
}

async function copyAnswer() {
  const { copy } = await import("./share.js");
  const prediction = reader.answer?.prediction;
  if (prediction) copy(buttons.copy, prediction.text ?? String(prediction.digit), texts.copied, announcer);
}

async function copyLink() {
  const { copy, linkTo } = await import("./share.js");
  copy(buttons.link, linkTo(sketch.strokes), texts.copied, announcer);
}

async function openLink() {
  if (!location.hash) return;
  const { takeLinkedDrawing } = await import("./share.js");
  const strokes = takeLinkedDrawing();
  if (!strokes) return;
  endInput();
  sketch.replace(strokes);
}

// ---- explanations ----

async function toggleExplanation() {
  const { ExplanationView } = await import("./explanation.js");
  loaded.explanation ??= new ExplanationView(buttons.explain, explainUrl, pad, picture, (error) =>
    answerView.showError(error),
  );
  explainChosen();
  loaded.explanation.toggle();
  updateAnswerTools();
}

/** Explain the digit whose details are shown. */
function explainChosen() {
  if (reader.answer) loaded.explanation?.setSubject(reader.answer, answerView.place);
}

// ---- pictures ----

/** @param {File[]} files */
async function readFiles(files) {
  loaded.batch?.clear();
  reader.cancel();
  if (files.length === 1) return readPicture(files[0]);
  const { strokes } = sketch;
  const { file } = picture;
  const { BatchList } = await import("./batch.js");
  loaded.batch ??= new BatchList({
    summary: texts.summary,
    predict: (file, signal) => reader.predict(file, signal),
    describe: (outcome) => answerView.describe(outcome),
    open,
    async onPrediction(file, prediction) {
      const id = Date.now();
      (await loadKept())?.history.addPicture(file, prediction, id);
    },
  });
  loaded.batch.read(files, () => sketch.strokes === strokes && picture.file === file);
}

/** @param {File} file */
function readPicture(file) {
  if (reader.isTooLarge(file)) return showError(new ApiError("too_large"));
  showPicture(file);
  answerView.showState("reading");
  reader.read();
  bringSheetIntoView();
}

async function turnPicture() {
  const { file } = picture;
  const { rotate } = await import("./rotate.js");
  const turned = file && (await rotate(file));
  if (turned && picture.file === file) readPicture(turned);
}

/**
 * Show a picture in place of the drawing, which undo brings back.
 * @param {Blob} file
 */
function showPicture(file) {
  endInput();
  loaded.explanation?.clearSubject();
  picture.show(file);
  sketch.clear();
  updateTools();
}

/**
 * Show what was read before, without a request.
 * @param {{ input: Input, prediction: Prediction | ApiError }} read
 */
function open({ input, prediction }) {
  if (prediction instanceof ApiError) {
    showPicture(/** @type {Blob} */ (input));
    showError(prediction);
  } else if (input instanceof Blob) {
    showPicture(input);
    showAnswer({ input, prediction });
  } else {
    endInput();
    knownPredictions.set(input, prediction);
    sketch.replace(input);
  }
}

// ---- what the browser keeps ----

function loadKept() {
  const describe = (/** @type {Prediction} */ prediction) => answerView.describe(prediction);
  loaded.kept ??= import("./kept.js").then(
    ({ Kept }) => new Kept(texts, describe, open),
    () => {
      delete loaded.kept; // the next answer tries again
      return null;
    },
  );
  return loaded.kept;
}

/** @param {ReadInput} answer */
async function keepInHistory(answer) {
  const loading = picture.loaded;
  (await loadKept())?.history.updateEntry(answer, loading);
}

/**
 * Keep what the visitor entered for the answer.
 * @param {Event} event
 */
async function correct({ target }) {
  const { answer } = reader;
  if (!answer) return correction.reset(); // a newer one is awaited
  const field = /** @type {HTMLInputElement | HTMLSelectElement} */ (target);
  const text = field.reportValidity() && field.value.trim();
  const loading = picture.loaded;
  if (!text) return;
  const kept = await loadKept();
  if (await kept?.corrections.add(text, answer, loading)) announcer.announce(texts.corrected);
}

// ---- tools ----

function updateTools() {
  const isDrawn = !sketch.isEmpty;
  const hasInput = isDrawn || picture.isShown;
  sheet.classList.toggle("with-ink", isDrawn);
  sheet.classList.toggle("with-picture", picture.isShown);
  toolbar.enable({
    undo: sketch.canUndo,
    redo: sketch.canRedo,
    erase: isDrawn,
    clear: hasInput,
    predict: hasInput,
    turn: picture.file !== null,
    play: isDrawn,
    link: isDrawn,
  });
  buttons.predict.hidden = live.checked;
  if (!isDrawn) buttons.erase.ariaPressed = "false";
  updateAnswerTools();
}

function updateAnswerTools() {
  const prediction = reader.answer?.prediction;
  toolbar.enable({
    explain: Boolean(prediction ?? loaded.explanation?.isShown),
    copy: Boolean(prediction && (isNumber(prediction) || prediction.is_digit)),
  });
}

const bringSheetIntoView = () => canvas.scrollIntoView({ block: "nearest" });

drawWithPointers(canvas, pad, sketch, () => buttons.erase.ariaPressed === "true");
drawWithKeys(canvas, pad, sketch, (event) => announcer.announce(texts[event]));
listenForFiles(element("upload", HTMLFormElement), element("samples", HTMLElement), readFiles, () =>
  showError(new ApiError("no_sample")),
);

sketch.addEventListener("input", onSketchInput);
sketch.addEventListener("change", onSketchChange);
live.addEventListener("change", () => {
  save("localStorage", "digits.live", live.checked);
  updateTools();
  if (live.checked && !reader.answer) readNow();
});
addEventListener("click", ({ target }) => {
  if (target instanceof Element && target.closest("button.card")) bringSheetIntoView();
});
correction.addEventListener("change", correct);
addEventListener("keydown", ({ key }) => key === "Escape" && loaded.playback?.stop());
addEventListener("hashchange", openLink);
addEventListener("online", () => reader.retryNow());
addEventListener("storage", loadKept); // another tab may have added to it

live.checked = load("localStorage", "digits.live") !== false;
const earlier = load("sessionStorage", "digits.drawing");
if (isDrawing(earlier) && !picture.isShown) sketch.restore(earlier);
openLink();
if (load("localStorage", "digits.history") || load("localStorage", "digits.corrections")) loadKept();
updateTools();
