// The page: a pad, a picture, a conversation with the server, and the answer.

import { AnswerView } from "./answer.js";
import { Conversation, predict } from "./api.js";
import { Pad } from "./pad.js";

const element = (id) => document.getElementById(id);
const { predictUrl, maxBytes } = element("page").dataset;
const sheet = element("sheet");
const live = element("live");
const file = element("file");

const pad = new Pad(element("pad"));
const view = new AnswerView(element("answer"));
const conversation = new Conversation((input, signal) => predict(predictUrl, input, signal), {
  onAnswer: (answer) => view.show(answer),
  onProblem: (problem) => view.showProblem(problem),
});

function inkChanged() {
  if (!pad.isEmpty) takePictureAway();
  showTools();
  if (pad.isEmpty) {
    conversation.cancel();
    view.showState("empty");
  } else if (live.checked) {
    conversation.put(() => pad.strokes);
  } else {
    conversation.cancel();
    view.showState("waiting");
  }
}

function undo() {
  if (pad.isEmpty) return;
  // The answer to the longer drawing, if it is still out, is stale now.
  conversation.cancel();
  pad.undo();
}

function clear() {
  takePictureAway();
  // Without this, choosing the same file again would be no change.
  element("upload").reset();
  pad.clear();
}

function predictNow() {
  if (pad.isEmpty) return;
  conversation.cancel();
  conversation.put(() => pad.strokes);
}

function readPicture(picture) {
  conversation.cancel();
  if (picture.size > Number(maxBytes)) {
    view.showState("heavy", { megabytes: Math.floor(maxBytes / 1e6) });
    return;
  }
  pad.clear();
  layPicture(picture);
  conversation.put(() => picture);
  element("answer").scrollIntoView({ block: "nearest" });
}

function layPicture(picture) {
  takePictureAway();
  const image = element("picture");
  image.src = URL.createObjectURL(picture);
  image.hidden = false;
  sheet.classList.add("with-picture");
  showTools();
}

function takePictureAway() {
  const image = element("picture");
  URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  image.hidden = true;
  sheet.classList.remove("with-picture");
}

function showTools() {
  const hasPicture = sheet.classList.contains("with-picture");
  sheet.classList.toggle("with-ink", !pad.isEmpty);
  element("undo").ariaDisabled = element("predict").ariaDisabled = String(pad.isEmpty);
  element("clear").ariaDisabled = String(pad.isEmpty && !hasPicture);
}

const pictureIn = (transfer) => [...(transfer?.files ?? [])][0];

pad.addEventListener("ink", inkChanged);
element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", clear);
element("predict").addEventListener("click", predictNow);
live.addEventListener("change", () => { if (live.checked) predictNow(); });
addEventListener("online", () => conversation.retryNow());

// What a picture is shown with is not always what it is: a file that does not open is told by the answer.
element("picture").addEventListener("error", (event) => { event.target.hidden = true; });
file.addEventListener("change", () => { if (file.files[0]) readPicture(file.files[0]); });
element("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  if (file.files[0]) readPicture(file.files[0]);
  else view.showState("unchosen");
});
addEventListener("paste", (event) => {
  const picture = pictureIn(event.clipboardData);
  if (picture) readPicture(picture);
});
// Without this the browser would leave the page and open the file.
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const picture = pictureIn(event.dataTransfer);
  if (picture) readPicture(picture);
});

showTools();
