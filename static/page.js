// The page: a drawing or a picture on the sheet, a conversation with the server about it, and the answer.

import { AnswerView } from "./answer.js";
import { Problem, ask } from "./api.js";
import { Conversation } from "./conversation.js";
import { Drawing } from "./drawing.js";
import { takeFiles } from "./files.js";
import { History } from "./history.js";
import { SIDE, isDrawing, toQuestion } from "./ink.js";
import { drawWithKeys } from "./keyboard.js";
import { Pad } from "./pad.js";
import { Picture, openFile, toDataUrl, toFile } from "./picture.js";
import { Playback } from "./playback.js";
import { drawWithPointers } from "./pointer.js";
import { Several } from "./several.js";
import { Speech } from "./speech.js";
import { recall, remember } from "./storage.js";
import { Why } from "./why.js";

const element = (id) => document.getElementById(id);
const { predictUrl, explainUrl, maxBytes, labels } = element("page").dataset;
const words = JSON.parse(labels);
const sheet = element("sheet");
const live = element("live");

const drawing = new Drawing();
const pad = new Pad(element("pad"), drawing);
const picture = new Picture(element("picture"), element("outline"));
const speech = new Speech(element("spoken"));
const view = new AnswerView(element("answer"), speech);
const playback = new Playback();
const why = new Why({ button: element("why"), choices: element("reasons"), canvas: element("heat"), sheet }, explainUrl, {
  place: (box) => (picture.file ? picture.place(box) : box.map((length) => length / SIDE)),
  onProblem: () => view.showProblem(new Problem("unexplained")),
});
const history = new History(element("history"), {
  describe(answer) {
    const said = view.describe(answer);
    return { numeral: said.numeral, label: words.again.replace("{words}", said.words) };
  },
  open: openAgain,
});
const several = new Several(element("several"), {
  ask: predict,
  describe: (outcome) => view.describe(outcome),
  open: showPicture,
  note: keepPicture,
});
const conversation = new Conversation((question, signal) => predict(question.input, signal), {
  onAnswer(answer, question) {
    if (question.isReplay) view.show(answer);
    else answered(answer, question.input, question.strokes);
  },
  onProblem: (problem) => view.showProblem(problem),
});

function predict(input, signal) {
  if (input.size > Number(maxBytes)) throw new Problem("heavy");
  return ask(predictUrl, input, signal);
}

/** Show the answer to what is on the sheet, and remember it. */
async function answered(answer, input, strokes) {
  showAnswer(answer, input);
  if (strokes) {
    history.note({ strokes }, answer);
    return;
  }
  const opened = await picture.opened;
  if (opened && picture.file === input) history.note(await toEntry(opened), answer);
}

async function keepPicture(file, answer) {
  const opened = await openFile(file);
  if (opened) history.keep(await toEntry(opened), answer);
}

const toEntry = async ({ copy, size }) => ({ picture: await toDataUrl(copy), size });

function showAnswer(answer, input) {
  view.show(answer);
  if (picture.file) picture.mark(answer.box);
  why.about(input, answer);
}

// ---- the drawing ----

let known = null; // the answer to the strokes that come next, where it needs no asking

function askAboutDrawing() {
  conversation.put(() => ({ input: toQuestion(drawing.strokes), strokes: drawing.strokes }));
}

function inkChanged() {
  playback.stop();
  why.forget();
  if (!drawing.isEmpty) picture.take();
  showTools();
  if (drawing.isEmpty) {
    if (!picture.isLaid) showNothing();
  } else if (known) {
    showAnswer(known, toQuestion(drawing.strokes));
  } else if (live.checked) {
    askAboutDrawing();
  } else {
    conversation.cancel();
    view.showState("waiting");
  }
}

function showNothing() {
  conversation.cancel();
  history.begin();
  view.showState("empty");
}

/** Go a step back or on. The answer to the drawing as it was, if it is still out, is stale then. */
function step(act) {
  conversation.cancel();
  act();
}

function clear() {
  several.clear();
  why.forget();
  // Without this, choosing the same file again would be no change.
  element("upload").reset();
  const hadPicture = picture.isLaid;
  picture.take();
  step(() => drawing.clear());
  if (hadPicture) showNothing();
  showTools();
}

function predictNow() {
  if (drawing.isEmpty) return;
  conversation.cancel();
  askAboutDrawing();
}

function playBack() {
  if (drawing.isEmpty) return;
  if (playback.isPlaying) {
    playback.stop();
    return;
  }
  conversation.cancel();
  why.forget();
  element("play").ariaPressed = "true";
  playback.play(drawing.strokes, (strokes) => {
    pad.show(strokes);
    conversation.put(() => ({ input: toQuestion(strokes), isReplay: true }));
  });
}

function playedBack() {
  element("play").ariaPressed = "false";
  pad.show(null);
  predictNow();
}

// ---- pictures ----

function readFiles(files) {
  several.clear();
  if (files.length > 1) several.read(files);
  else readPicture(files[0]);
}

function readPicture(file) {
  conversation.cancel();
  if (file.size > Number(maxBytes)) {
    view.showProblem(new Problem("heavy"));
    return;
  }
  lay(file);
  view.showState("reading");
  conversation.put(() => ({ input: file }));
  element("answer").scrollIntoView({ block: "nearest" });
}

/** Lay a picture on the sheet; the drawing makes room, and undo brings it back. */
function lay(file) {
  conversation.cancel();
  history.begin();
  why.forget();
  picture.lay(file);
  drawing.clear();
  showTools();
}

function showPicture(file, outcome) {
  lay(file);
  if (outcome instanceof Problem) view.showProblem(outcome);
  else answered(outcome, file);
}

/** Show what the history has kept, with the answer that it got. */
async function openAgain({ strokes, picture: url, size, answer }) {
  conversation.cancel();
  history.begin();
  several.clear();
  if (strokes) {
    known = answer;
    drawing.replace(strokes);
    known = null;
  } else {
    const file = toFile(url);
    lay(file);
    showAnswer(answer, file);
    picture.mark(answer.box, size);
  }
}

// ---- the tools ----

function showTools() {
  const enable = (id, isEnabled) => { element(id).ariaDisabled = String(!isEnabled); };
  sheet.classList.toggle("with-ink", !drawing.isEmpty);
  sheet.classList.toggle("with-picture", picture.isLaid);
  enable("undo", drawing.canUndo);
  enable("redo", drawing.canRedo);
  enable("clear", !drawing.isEmpty || picture.isLaid);
  enable("predict", !drawing.isEmpty);
  enable("play", !drawing.isEmpty);
}

const undo = () => drawing.canUndo && step(() => drawing.undo());
const redo = () => drawing.canRedo && step(() => drawing.redo());

function pressed(event) {
  const key = event.key.toLowerCase();
  if (key === "escape") playback.stop();
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  if (key === "z") (event.shiftKey ? redo : undo)();
  else if (key === "y") redo();
  else return;
  event.preventDefault();
}

drawWithPointers(element("pad"), pad, drawing);
drawWithKeys(element("pad"), pad, drawing, (what) => speech.say(words[what]));
takeFiles(element("upload"), { read: readFiles, none: () => view.showState("unchosen") });

drawing.addEventListener("ink", inkChanged);
drawing.addEventListener("rest", () => remember("sessionStorage", "digits.drawing", drawing.strokes));
playback.addEventListener("end", playedBack);
element("undo").addEventListener("click", undo);
element("redo").addEventListener("click", redo);
element("clear").addEventListener("click", clear);
element("predict").addEventListener("click", predictNow);
element("play").addEventListener("click", playBack);
live.addEventListener("change", () => { if (live.checked) predictNow(); });
addEventListener("keydown", pressed);
addEventListener("online", () => conversation.retryNow());

const side = element("side");
side.checked = document.documentElement.dataset.side === "right";
side.addEventListener("change", () => {
  document.documentElement.dataset.side = side.checked ? "right" : "left";
  remember("localStorage", "digits.side", document.documentElement.dataset.side);
});

const earlier = recall("sessionStorage", "digits.drawing");
if (isDrawing(earlier) && !picture.isLaid) drawing.restore(earlier);
showTools();
