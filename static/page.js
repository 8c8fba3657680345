// Connects the pad and pictures with predictions and the answer.

import { Announcer } from "./announcer.js";
import { AnswerView, isNumber } from "./answer.js";
import { ApiError, post } from "./api.js";
import { listenForFiles } from "./files.js";
import { isDrawing, toApiStrokes } from "./ink.js";
import { drawWithKeys } from "./keyboard.js";
import { Pad } from "./pad.js";
import { loadPicture, Picture } from "./picture.js";
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

const { readUrl = "", explainUrl = "", maxBytes, labels = "" } = element("page", HTMLElement).dataset;
/** @type {Record<string, string>} */
const texts = JSON.parse(labels);
const sheet = element("sheet", HTMLElement);
const canvas = element("pad", HTMLCanvasElement);
const live = element("live", HTMLInputElement);
const padOnRight = element("pad-side", HTMLInputElement);
/** @type {Record<string, () => void>} By the ids of their buttons. */
const actions = {
  undo,
  redo,
  erase: toggleEraser,
  clear,
  predict: predictNow,
  turn: turnPicture,
  play: togglePlayback,
  explain: toggleExplanation,
  copy: copyAnswer,
  link: copyLink,
};
const buttons = Object.fromEntries(Object.keys(actions).map((id) => [id, element(id, HTMLButtonElement)]));

const correction = element("correction", HTMLSelectElement);
const correctedNumber = element("corrected-number", HTMLInputElement);

const sketch = new Sketch();
const pad = new Pad(canvas, sketch);
const picture = new Picture(element("picture", HTMLImageElement), element("outline", SVGElement));
const announcer = new Announcer(element("announcements", HTMLElement));
const answerView = new AnswerView(element("answer", HTMLElement), announcer, explainChosen);
// Loaded when needed.
/** @type {Promise<import("./history.js").History> | null} */
let history = null;
/** @type {import("./explanation.js").ExplanationView | null} */
let explanation = null;
/** @type {import("./playback.js").Playback | null} */
let playback = null;
/** @type {import("./batch.js").BatchList | null} */
let batch = null;
/** @type {import("./corrections.js").Corrections | null} */
let corrections = null;
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
  const reading = await post(readUrl, input, signal);
  return { ...reading.digits?.[0], ...reading };
}

const isTooLarge = (/** @type {Input} */ input) => input instanceof Blob && input.size > Number(maxBytes);

/** @type {{ prediction: Prediction, input: Input } | null} The latest answer. */
let latest = null;

/** The answer to what is on the sheet, unless a newer one is awaited. */
const currentAnswer = () => (!queue.isBusy && latest?.input === (picture.file ?? sketch.strokes) ? latest : null);

/**
 * Show the prediction for what is on the sheet.
 * @param {Prediction} prediction
 * @param {Input} input
 */
function showPrediction(prediction, input) {
  if (latest?.input !== input) clearCorrection();
  latest = { prediction, input };
  answerView.showPrediction(prediction, sketch.isDrawing || isDots(input));
  if (picture.file) picture.outline(boxesOf(prediction));
  if (!sketch.isDrawing) explainChosen();
  buttons.predict.hidden = live.checked;
  updateAnswerTools();
}

const boxesOf = (/** @type {Prediction} */ { digits, box }) => digits?.map((digit) => digit.box) ?? [box];

/** Whether only dots are drawn, which most digits and no whole one begin with. */
const isDots = (/** @type {Input} */ input) =>
  !(input instanceof Blob) && toApiStrokes(input).every((stroke) => stroke.length === 1);

/** @param {ApiError} error */
function showError(error) {
  latest = null;
  updateAnswerTools();
  answerView.showError(error);
  if (!error.isTransient) buttons.predict.hidden = false; // to try again
}

/** Show that there is nothing to read. */
function showEmpty() {
  queue.cancel();
  closeHistoryEntry();
  explanation?.stop();
  answerView.showState("empty");
}

// ---- drawings ----

/** @type {WeakMap<Stroke[], Prediction>} The predictions of drawings opened from the history need no request. */
const knownPredictions = new WeakMap();

function onSketchInput() {
  playback?.stop();
  explanation?.clearSubject();
  if (!sketch.isEmpty) picture.remove();
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
  updateTools();
}

function onSketchChange() {
  save("sessionStorage", "digits.drawing", sketch.strokes);
  // What was said while the pen was down is said in full.
  const answer = currentAnswer();
  if (answer) showPrediction(answer.prediction, answer.input);
}

function predictNow() {
  const input = picture.file ?? sketch.strokes;
  if (input === sketch.strokes && sketch.isEmpty) return;
  queue.cancel();
  queue.put({ input });
}

async function copyAnswer() {
  const { copy } = await import("./share.js");
  const answer = currentAnswer();
  if (answer) copy(buttons.copy, answer.prediction.text ?? String(answer.prediction.digit), texts.copied);
}

async function copyLink() {
  const { copy, linkTo } = await import("./share.js");
  if (!sketch.isEmpty) copy(buttons.link, linkTo(sketch.strokes), texts.copied);
}

async function openLink() {
  if (!location.hash) return;
  const { takeLinkedDrawing } = await import("./share.js");
  const strokes = takeLinkedDrawing();
  if (strokes) sketch.replace(strokes);
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

function toggleEraser() {
  buttons.erase.ariaPressed = String(!sketch.isEmpty && buttons.erase.ariaPressed === "false");
}

function clear() {
  batch?.clear();
  picture.remove();
  sketch.clear();
  showEmpty();
  updateTools();
}

async function togglePlayback() {
  const playback = await loadPlayback();
  if (playback.isPlaying) {
    playback.stop();
  } else if (!sketch.isEmpty) {
    queue.cancel();
    explanation?.clearSubject();
    buttons.play.ariaPressed = "true";
    playback.play(sketch.strokes, (strokes) => {
      pad.override(strokes);
      queue.put({ input: strokes, isReplay: true });
    });
  }
}

async function loadPlayback() {
  const { Playback } = await import("./playback.js");
  if (!playback) {
    playback = new Playback();
    playback.addEventListener("end", onPlaybackEnd);
  }
  return playback;
}

function onPlaybackEnd() {
  buttons.play.ariaPressed = "false";
  pad.override(null);
  predictNow();
}

// ---- explanations ----

async function toggleExplanation() {
  if (!currentAnswer() && !explanation?.isShown) return;
  const view = await loadExplanation();
  explainChosen();
  view.toggle();
  updateAnswerTools();
}

/** Explain the digit whose details are shown. */
function explainChosen() {
  const answer = currentAnswer();
  if (!answer) return;
  const { input, prediction } = answer;
  if (isNumber(prediction)) {
    const { place } = answerView;
    explanation?.setSubject(input, prediction.digits[place].digit, place);
  } else {
    explanation?.setSubject(input, prediction.digit);
  }
}

async function loadExplanation() {
  const { ExplanationView } = await import("./explanation.js");
  const elements = {
    button: buttons.explain,
    digits: element("explained-digit", HTMLElement),
    canvas: element("heatmap", HTMLCanvasElement),
    sheet,
  };
  explanation ??= new ExplanationView(elements, explainUrl, {
    locate: async (box) => (picture.file ? picture.locate(box, pad.size) : box),
    prepare: (canvas) => pad.prepare(canvas),
    onError: (error) => answerView.showError(error),
  });
  return explanation;
}

// ---- pictures ----

/** @param {File[]} files */
async function readFiles(files) {
  batch?.clear();
  queue.cancel();
  if (files.length > 1) {
    (await loadBatch()).read(files);
  } else if (isTooLarge(files[0])) {
    showError(new ApiError("too_large"));
  } else {
    showPicture(files[0]);
    answerView.showState("reading");
    queue.put({ input: files[0] });
    bringSheetIntoView();
  }
}

async function loadBatch() {
  const { BatchList } = await import("./batch.js");
  batch ??= new BatchList(element("batch", HTMLElement), element("batch-head", HTMLElement), {
    summary: texts.summary,
    predict,
    describe: (outcome) => answerView.describe(outcome),
    open: openFromBatch,
    onPrediction: addPictureToHistory,
  });
  return batch;
}

async function turnPicture() {
  const { turn } = await import("./turn.js");
  const turned = picture.file && (await turn(picture.file));
  if (turned) readFiles([turned]);
}

/** @param {HTMLButtonElement} sample with the address of a picture */
async function readSample({ value }) {
  const response = await fetch(value).catch(() => null);
  if (response?.ok) readFiles([new File([await response.blob()], value)]);
  else showError(new ApiError("offline"));
}

/**
 * Show a picture in place of the drawing, which undo brings back.
 * @param {Blob} file
 * @param {Size} [originalSize]
 */
function showPicture(file, originalSize) {
  queue.cancel();
  closeHistoryEntry();
  explanation?.clearSubject();
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

// ---- corrections ----

async function loadCorrections() {
  const { Corrections } = await import("./corrections.js");
  corrections ??= new Corrections(element("corrections", HTMLElement), texts, openEntry);
  return corrections;
}

/**
 * Keep what the visitor entered for the answer.
 * @param {Event} event
 */
async function correct({ target }) {
  const answer = currentAnswer();
  if (!answer) return clearCorrection(); // a newer one is awaited
  const { prediction, input } = answer;
  const subject = input instanceof Blob ? await toSubject(picture.loaded) : { strokes: input };
  if (subject && (await loadCorrections()).add(target, { id: Date.now(), ...subject, prediction }))
    announcer.announce(texts.corrected);
}

function clearCorrection() {
  correction.selectedIndex = 0;
  correctedNumber.value = "";
}

// ---- the history ----

function loadHistory() {
  history ??= import("./history.js").then(
    ({ History }) =>
      new History(element("history", HTMLElement), {
        describe(prediction) {
          const { numeral, words } = answerView.describe(prediction);
          return { caption: numeral, label: texts.open_again.replace("{words}", words) };
        },
        open: openEntry,
      }),
  );
  return history;
}

/** The next prediction starts a new entry. */
const closeHistoryEntry = () => history?.then((loaded) => loaded.closeEntry());

/**
 * @param {Prediction} prediction
 * @param {Input} input
 */
async function updateHistory(prediction, input) {
  if (input instanceof Blob) {
    const subject = await toSubject(picture.loaded);
    if (subject && picture.file === input) (await loadHistory()).updateEntry(subject, prediction);
  } else {
    (await loadHistory()).updateEntry({ strokes: input }, prediction);
  }
}

/**
 * @param {File} file
 * @param {Prediction} prediction
 */
async function addPictureToHistory(file, prediction) {
  const subject = await toSubject(loadPicture(file));
  if (subject) (await loadHistory()).addEntry(subject, prediction);
}

/** @param {Promise<LoadedPicture | null>} loading */
async function toSubject(loading) {
  const { toDataUrl } = await import("./data-url.js");
  const loaded = await loading;
  return loaded && { picture: await toDataUrl(loaded.copy), size: loaded.size };
}

/** @param {HistoryEntry} entry */
async function openEntry(entry) {
  queue.cancel();
  closeHistoryEntry();
  batch?.clear();
  if ("strokes" in entry) {
    knownPredictions.set(entry.strokes, entry.prediction);
    sketch.replace(entry.strokes);
  } else {
    const { fromDataUrl } = await import("./data-url.js");
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
  buttons.erase.ariaDisabled = buttons.link.ariaDisabled = String(sketch.isEmpty);
  if (sketch.isEmpty) buttons.erase.ariaPressed = "false";
  buttons.turn.ariaDisabled = String(!picture.file);
  updateAnswerTools();
}

function updateAnswerTools() {
  const prediction = currentAnswer()?.prediction;
  buttons.explain.ariaDisabled = String(!prediction && !explanation?.isShown);
  buttons.copy.ariaDisabled = String(!prediction || !(isNumber(prediction) || prediction.is_digit));
}

const bringSheetIntoView = () => canvas.scrollIntoView({ block: "nearest" });

/** @param {KeyboardEvent} event */
function onKeyDown(event) {
  const key = event.key.toLowerCase();
  if (key === "escape") playback?.stop();
  if (key === "r" && !event.ctrlKey && !event.metaKey && !event.altKey) turnPicture();
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  if (key === "z") (event.shiftKey ? redo : undo)();
  else if (key === "y") redo();
  else return;
  event.preventDefault();
}

/**
 * Handle clicks on buttons that are, or will be, in an element.
 * @param {string} id
 * @param {string} selector
 * @param {(button: HTMLButtonElement) => void} handle
 */
function onClickOf(id, selector, handle) {
  element(id, HTMLElement).addEventListener("click", ({ target }) => {
    const button = target instanceof Element ? target.closest(selector) : null;
    if (button instanceof HTMLButtonElement) handle(button);
  });
}

function movePad() {
  const side = padOnRight.checked ? "right" : "left";
  document.documentElement.dataset.padSide = side;
  save("localStorage", "digits.side", side);
}

drawWithPointers(canvas, pad, sketch, () => buttons.erase.ariaPressed === "true");
drawWithKeys(canvas, pad, sketch, (event) => announcer.announce(texts[event]));
listenForFiles(element("upload", HTMLFormElement), readFiles);

sketch.addEventListener("input", onSketchInput);
sketch.addEventListener("change", onSketchChange);
for (const [id, button] of Object.entries(buttons)) button.addEventListener("click", actions[id]);
live.addEventListener("change", () => {
  save("localStorage", "digits.live", live.checked);
  updateTools();
  if (live.checked) predictNow();
});
for (const id of ["batch", "history", "corrections"]) onClickOf(id, ".card", bringSheetIntoView);
onClickOf("samples", ".card", readSample);
for (const field of [correction, correctedNumber]) field.addEventListener("change", correct);
padOnRight.addEventListener("change", movePad);
addEventListener("keydown", onKeyDown);
addEventListener("hashchange", openLink);
addEventListener("resize", () => explanation?.refresh());
addEventListener("online", () => queue.retryNow());
addEventListener("storage", loadHistory); // another tab may have added to it

live.checked = load("localStorage", "digits.live") !== false;
padOnRight.checked = document.documentElement.dataset.padSide === "right";
const earlier = load("sessionStorage", "digits.drawing");
if (isDrawing(earlier) && !picture.isShown) sketch.restore(earlier);
openLink();
if (load("localStorage", "digits.history")) loadHistory();
if (load("localStorage", "digits.corrections")) loadCorrections();
updateTools();
