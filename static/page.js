// The page: connects the pad and the pictures with the server's predictions and the answer.

import { Announcer } from "./announcer.js";
import { AnswerView } from "./answer.js";
import { ApiError, post } from "./api.js";
import { BatchList } from "./batch.js";
import { ExplanationView } from "./explanation.js";
import { listenForFiles } from "./files.js";
import { History } from "./history.js";
import { isDrawing, toApiStrokes } from "./ink.js";
import { drawWithKeys } from "./keyboard.js";
import { Pad } from "./pad.js";
import { fromDataUrl, loadPicture, Picture, toDataUrl } from "./picture.js";
import { Playback } from "./playback.js";
import { drawWithPointers } from "./pointer.js";
import { RequestQueue } from "./request-queue.js";
import { Sketch } from "./sketch.js";
import { load, save } from "./storage.js";

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`#${id} is not a ${type.name}`);
  return found;
}

const { predictUrl = "", explainUrl = "", maxBytes, labels = "" } = element("page", HTMLElement).dataset;
/** @type {Record<"pen_down" | "pen_up" | "open_again", string>} */
const texts = JSON.parse(labels);
const sheet = element("sheet", HTMLElement);
const canvas = element("pad", HTMLCanvasElement);
const live = element("live", HTMLInputElement);
const padOnRight = element("pad-side", HTMLInputElement);
const buttons = Object.fromEntries(
  ["undo", "redo", "clear", "predict", "play"].map((id) => [id, element(id, HTMLButtonElement)]),
);

const sketch = new Sketch();
const pad = new Pad(canvas, sketch);
const picture = new Picture(element("picture", HTMLImageElement), element("outline", SVGElement));
const announcer = new Announcer(element("announcements", HTMLElement));
const answerView = new AnswerView(element("answer", HTMLElement), announcer);
const playback = new Playback();
const explanation = new ExplanationView(
  {
    button: element("explain", HTMLButtonElement),
    digits: element("explained-digit", HTMLElement),
    canvas: element("heatmap", HTMLCanvasElement),
    sheet,
  },
  explainUrl,
  {
    locate: async (box) => (picture.file ? picture.locate(box) : box),
    onError: (error) => answerView.showError(error),
  },
);
const history = new History(element("history", HTMLElement), {
  describe(prediction) {
    const { numeral, words } = answerView.describe(prediction);
    return { caption: numeral, label: texts.open_again.replace("{words}", words) };
  },
  open: openEntry,
});
const batch = new BatchList(element("batch", HTMLElement), {
  predict,
  describe: (outcome) => answerView.describe(outcome),
  open: openFromBatch,
  onPrediction: addPictureToHistory,
});
/** @type {RequestQueue<{ input: Input, isReplay?: boolean }, Prediction>} */
const queue = new RequestQueue(({ input }, signal) => predict(input, signal), {
  onResponse(prediction, { input, isReplay }) {
    if (isReplay) {
      answerView.showPrediction(prediction, true);
    } else {
      showPrediction(prediction, input);
      updateHistory(prediction, input);
    }
  },
  onError: showError,
});

/**
 * @param {Input} input
 * @param {AbortSignal} signal
 * @returns {Promise<Prediction>}
 */
async function predict(input, signal) {
  if (isTooLarge(input)) throw new ApiError("too_large");
  return post(predictUrl, input, signal);
}

const isTooLarge = (/** @type {Input} */ input) => input instanceof Blob && input.size > Number(maxBytes);

/** @type {{ prediction: Prediction, input: Input } | null} The answer on the page. */
let answer = null;

/**
 * Show the prediction for what is on the sheet.
 * @param {Prediction} prediction
 * @param {Input} input
 */
function showPrediction(prediction, input) {
  answer = { prediction, input };
  answerView.showPrediction(prediction, sketch.isDrawing || isDots(input));
  if (picture.file) picture.outline(prediction.box);
  if (!sketch.isDrawing) explanation.setSubject(input, prediction.digit);
  buttons.predict.hidden = live.checked;
}

/** Whether only dots are drawn, which most digits and no whole one begin with. */
const isDots = (/** @type {Input} */ input) =>
  !(input instanceof Blob) && toApiStrokes(input).every((stroke) => stroke.length === 1);

/** @param {ApiError} error */
function showError(error) {
  answer = null;
  answerView.showError(error);
  if (!error.isTransient) buttons.predict.hidden = false; // to try again
}

/** Show that there is nothing to read. */
function showEmpty() {
  answer = null;
  queue.cancel();
  history.closeEntry();
  explanation.stop();
  answerView.showState("empty");
}

// ---- drawings ----

/** @type {WeakMap<Stroke[], Prediction>} The predictions of drawings opened from the history need no request. */
const knownPredictions = new WeakMap();

function onSketchInput() {
  playback.stop();
  explanation.clearSubject();
  answer = null;
  if (!sketch.isEmpty) picture.remove();
  updateTools();
  const known = knownPredictions.get(sketch.strokes);
  if (sketch.isEmpty) {
    if (!picture.isShown) showEmpty();
  } else if (known) {
    showPrediction(known, sketch.strokes);
  } else if (live.checked) {
    queue.put({ input: sketch.strokes });
  } else {
    queue.cancel();
    answerView.showState("waiting");
  }
}

function onSketchChange() {
  save("sessionStorage", "digits.drawing", sketch.strokes);
  // What was said while the pen was down is said in full.
  if (answer?.input === sketch.strokes) showPrediction(answer.prediction, answer.input);
}

function predictNow() {
  const input = picture.file ?? sketch.strokes;
  if (input === sketch.strokes && sketch.isEmpty) return;
  queue.cancel();
  queue.put({ input });
}

function undo() {
  if (!sketch.canUndo) return;
  queue.cancel();
  sketch.undo();
}

function redo() {
  if (!sketch.canRedo) return;
  queue.cancel();
  sketch.redo();
}

function clear() {
  batch.clear();
  picture.remove();
  sketch.clear();
  showEmpty();
  updateTools();
}

function togglePlayback() {
  if (playback.isPlaying) {
    playback.stop();
  } else if (!sketch.isEmpty) {
    queue.cancel();
    explanation.clearSubject();
    buttons.play.ariaPressed = "true";
    playback.play(sketch.strokes, (strokes) => {
      pad.override(strokes);
      queue.put({ input: strokes, isReplay: true });
    });
  }
}

function onPlaybackEnd() {
  buttons.play.ariaPressed = "false";
  pad.override(null);
  predictNow();
}

// ---- pictures ----

/** @param {File[]} files */
function readFiles(files) {
  batch.clear();
  queue.cancel();
  if (files.length > 1) {
    batch.read(files);
  } else if (isTooLarge(files[0])) {
    showError(new ApiError("too_large"));
  } else {
    showPicture(files[0]);
    answerView.showState("reading");
    queue.put({ input: files[0] });
    bringSheetIntoView();
  }
}

/**
 * Show a picture in place of the drawing, which undo brings back.
 * @param {Blob} file
 * @param {Size} [originalSize]
 */
function showPicture(file, originalSize) {
  queue.cancel();
  history.closeEntry();
  explanation.clearSubject();
  picture.show(file, originalSize);
  sketch.clear();
  updateTools();
}

/**
 * @param {File} file
 * @param {Prediction | ApiError} outcome
 */
function openFromBatch(file, outcome) {
  showPicture(file);
  if (outcome instanceof ApiError) showError(outcome);
  else showPrediction(outcome, file);
}

// ---- the history ----

/**
 * @param {Prediction} prediction
 * @param {Input} input
 */
async function updateHistory(prediction, input) {
  if (input instanceof Blob) {
    const subject = await toSubject(picture.loaded);
    if (subject && picture.file === input) history.updateEntry(subject, prediction);
  } else {
    history.updateEntry({ strokes: input }, prediction);
  }
}

/**
 * @param {File} file
 * @param {Prediction} prediction
 */
async function addPictureToHistory(file, prediction) {
  const subject = await toSubject(loadPicture(file));
  if (subject) history.addEntry(subject, prediction);
}

/** @param {Promise<LoadedPicture | null>} loading */
async function toSubject(loading) {
  const loaded = await loading;
  return loaded && { picture: await toDataUrl(loaded.copy), size: loaded.size };
}

/** @param {HistoryEntry} entry */
function openEntry(entry) {
  queue.cancel();
  history.closeEntry();
  batch.clear();
  if ("strokes" in entry) {
    knownPredictions.set(entry.strokes, entry.prediction);
    sketch.replace(entry.strokes);
  } else {
    const file = fromDataUrl(entry.picture);
    showPicture(file, entry.size);
    showPrediction(entry.prediction, file);
  }
}

// ---- tools and shortcuts ----

function updateTools() {
  const isBlank = sketch.isEmpty && !picture.isShown;
  sheet.classList.toggle("with-ink", !sketch.isEmpty);
  sheet.classList.toggle("with-picture", picture.isShown);
  buttons.undo.ariaDisabled = String(!sketch.canUndo);
  buttons.redo.ariaDisabled = String(!sketch.canRedo);
  buttons.clear.ariaDisabled = String(isBlank);
  buttons.play.ariaDisabled = String(sketch.isEmpty);
  buttons.predict.ariaDisabled = String(isBlank);
  buttons.predict.hidden = live.checked;
}

const bringSheetIntoView = () => canvas.scrollIntoView({ block: "nearest" });

/** @param {KeyboardEvent} event */
function onKeyDown(event) {
  const key = event.key.toLowerCase();
  if (key === "escape") playback.stop();
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  if (key === "z") (event.shiftKey ? redo : undo)();
  else if (key === "y") redo();
  else return;
  event.preventDefault();
}

function movePad() {
  const side = padOnRight.checked ? "right" : "left";
  document.documentElement.dataset.padSide = side;
  save("localStorage", "digits.side", side);
}

drawWithPointers(canvas, pad, sketch);
drawWithKeys(canvas, pad, sketch, (event) => announcer.announce(texts[event]));
listenForFiles(element("upload", HTMLFormElement), readFiles);

sketch.addEventListener("input", onSketchInput);
sketch.addEventListener("change", onSketchChange);
playback.addEventListener("end", onPlaybackEnd);
buttons.undo.addEventListener("click", undo);
buttons.redo.addEventListener("click", redo);
buttons.clear.addEventListener("click", clear);
buttons.predict.addEventListener("click", predictNow);
buttons.play.addEventListener("click", togglePlayback);
live.addEventListener("change", () => {
  save("localStorage", "digits.live", live.checked);
  updateTools();
  if (live.checked) predictNow();
});
for (const id of ["batch", "history"]) {
  element(id, HTMLElement).addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest(".card")) bringSheetIntoView();
  });
}
padOnRight.addEventListener("change", movePad);
addEventListener("keydown", onKeyDown);
addEventListener("online", () => queue.retryNow());

live.checked = load("localStorage", "digits.live") !== false;
padOnRight.checked = document.documentElement.dataset.padSide === "right";
const earlier = load("sessionStorage", "digits.drawing");
if (isDrawing(earlier) && !picture.isShown) sketch.restore(earlier);
updateTools();
