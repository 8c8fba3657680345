// Answers that the visitor has corrected, kept in this browser only, and saved as a file.

import { fill, isNumber, toLine } from "./answer.js";
import { fromEntry, isEntry, subjectKey, toSubject } from "./entries.js";
import { toApiStrokes } from "./ink.js";
import { download } from "./share.js";
import { load, save } from "./storage.js";
import { thumbnailItem, thumbnailOf } from "./thumbnails.js";

const KEY = "digits.corrections";

/**
 * A digit, a number, or null for no digit, which "?" stands for.
 * @param {string} text
 * @returns {Correction["label"]}
 */
function toLabel(text) {
  if (text === "?") return null;
  return text.length > 1 ? text.replaceAll(/ +/g, " ") : Number(text);
}

export class Corrections {
  #root;
  #texts;
  #open;

  /**
   * @param {HTMLElement} root
   * @param {Record<"delete_correction" | "no_digit", string>} texts
   * @param {(entry: ReadInput) => void} open
   */
  constructor(root, texts, open) {
    this.#root = root;
    this.#texts = texts;
    this.#open = open;
    const [saveButton, deleteButton] = root.querySelectorAll("button");
    saveButton.addEventListener("click", () =>
      download("corrections.jsonl", loadCorrections().map(toJsonLine).join("")),
    );
    deleteButton.addEventListener("click", () => {
      if (confirm(`${deleteButton.textContent}?`)) this.#keep([]);
    });
    this.#render();
  }

  /**
   * Keep a correction, in place of an earlier one of the same input. Returns whether it could be stored.
   * @param {string} text of the correction
   * @param {ReadInput} answer
   * @param {Promise<LoadedPicture | null>} loading the picture
   */
  async add(text, { input, prediction }, loading) {
    const subject = await toSubject(input, loading);
    if (!subject) return false;
    const key = subjectKey(subject);
    const others = loadCorrections().filter((other) => subjectKey(other) !== key);
    return this.#keep([{ id: Date.now(), ...subject, prediction, label: toLabel(text) }, ...others]);
  }

  /** @param {Correction[]} corrections */
  #keep(corrections) {
    const isStored = save("localStorage", KEY, corrections);
    this.#render();
    return isStored;
  }

  #render() {
    const corrections = loadCorrections();
    this.#root.hidden = corrections.length === 0;
    const items = corrections.map((correction) => {
      const { label, prediction } = correction;
      const answer = isNumber(prediction) || prediction.is_digit ? numeralOf(prediction) : "?";
      const caption = `${answer} → ${label ?? this.#texts.no_digit}`;
      const { item } = thumbnailItem(thumbnailOf(correction), caption, () => this.#open(fromEntry(correction)));
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "quiet";
      remove.textContent = "×";
      remove.ariaLabel = fill(this.#texts.delete_correction, { correction: caption });
      remove.addEventListener("click", () => {
        this.#keep(loadCorrections().filter(({ id }) => id !== correction.id));
        /** @type {HTMLButtonElement | null} */ (this.#root.querySelector("li .quiet"))?.focus();
      });
      item.append(remove);
      return item;
    });
    this.#root.querySelector("ol")?.replaceChildren(...items);
  }
}

/** @returns {Correction[]} */
function loadCorrections() {
  const corrections = load("localStorage", KEY);
  return Array.isArray(corrections) ? corrections.filter(isCorrection) : [];
}

/** @param {any} value */
const isCorrection = (value) =>
  (value?.label === null || Number.isInteger(value?.label) || /^[\d ]+$/.test(value?.label)) && isEntry(value);

/** @param {Prediction} prediction */
const numeralOf = (prediction) => (isNumber(prediction) ? toLine(prediction.text) : prediction.digit);

/**
 * A line of the file: the true digit or null as label, or the true number as text; the drawing or picture; and which
 * model answered what.
 * @param {Correction} correction
 */
function toJsonLine({ label, prediction, ...subject }) {
  const { model, is_digit, top } = prediction;
  const input = "strokes" in subject ? { strokes: toApiStrokes(subject.strokes) } : { picture: subject.picture };
  const answer = isNumber(prediction)
    ? { text: prediction.text, confidence: prediction.confidence }
    : { digit: prediction.digit, is_digit, confidence: top[0].confidence };
  const truth = typeof label === "string" ? { text: label } : { label };
  return `${JSON.stringify({ ...truth, ...input, model, answer })}\n`;
}
