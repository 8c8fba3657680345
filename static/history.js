// The last drawings and pictures of this browser with their answers. Nothing of it leaves the browser.

import { card, drawingThumbnail, pictureThumbnail } from "./cards.js";
import { isDrawing } from "./ink.js";
import { recall, remember } from "./storage.js";

const NAME = "digits.history";
const LENGTH = 20;
const SETTLED = 700; // ms without a newer answer before one is kept

export class History {
  #root;
  #list;
  #describe;
  #open;
  #current = null; // id of the entry that the next answer will replace
  #timer = 0;
  #unsaved = null;

  /** `describe(answer)` gives its numeral and label; `open(entry)` shows an entry again. */
  constructor(root, { describe, open }) {
    this.#root = root;
    this.#list = root.querySelector("ol");
    this.#describe = describe;
    this.#open = open;
    root.querySelector("button").addEventListener("click", () => this.#forget());
    addEventListener("pagehide", () => this.#save());
    addEventListener("pageshow", ({ persisted }) => { if (persisted) this.#render(entries()); });
    addEventListener("storage", () => this.#render(entries()));
    this.#render(entries());
  }

  /** What comes next is something new, and no longer the drawing that the last answer was about. */
  begin() {
    if (this.#unsaved) this.#render(this.#save());
    this.#current = null;
  }

  /** Keep {strokes} or {picture, size}, a data URL and its size, with the answer to it. */
  note(what, answer) {
    this.#current ??= Date.now();
    this.#unsaved = { id: this.#current, ...what, answer };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#render(this.#save()), SETTLED);
  }

  /** Keep a picture and its answer at once, whatever else is going on. */
  keep(what, answer) {
    this.#render(this.#put({ id: Date.now() + Math.random(), ...what, answer }));
  }

  /** Keep what is not kept yet. Gives all that is kept now; it is not shown, because a page that ends loads nothing. */
  #save() {
    clearTimeout(this.#timer);
    if (!this.#unsaved) return entries();
    const entry = this.#unsaved;
    this.#unsaved = null;
    return this.#put(entry);
  }

  #put(entry) {
    const older = entries().filter((other) => other.id !== entry.id && subject(other) !== subject(entry));
    let kept = [entry, ...older].slice(0, LENGTH);
    // Browsers give a page some megabytes: the oldest make room.
    while (!remember("localStorage", NAME, kept) && kept.length > 1) kept = kept.slice(0, -1);
    return kept;
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#unsaved = this.#current = null;
    remember("localStorage", NAME, []);
    this.#render([]);
  }

  #render(kept) {
    this.#root.classList.toggle("is-empty", kept.length === 0);
    this.#list.replaceChildren(...kept.map((entry) => {
      const { numeral, label } = this.#describe(entry.answer);
      const thumbnail = entry.strokes ? drawingThumbnail(entry.strokes) : pictureThumbnail(entry.picture);
      return card(thumbnail, numeral, label, () => this.#open(entry));
    }));
  }
}

/** What is kept, as far as it can be used: other versions of this page may have left something else. */
function entries() {
  const kept = recall("localStorage", NAME);
  const isUsable = (entry) => isAnswer(entry?.answer) && (isPicture(entry) || isDrawing(entry.strokes));
  return Array.isArray(kept) ? kept.filter(isUsable) : [];
}

const isAnswer = (answer) => answer?.top?.length === 3 && answer.probabilities?.length === 10;
const isPicture = ({ picture }) => typeof picture === "string" && picture.startsWith("data:image/");
const subject = ({ strokes, picture }) => JSON.stringify([strokes, picture]);
