// Answers that the visitor has corrected, kept in this browser only, and saved as a file.

import { isNumber } from "./answer.js";
import { isEntry, subjectKey } from "./history.js";
import { toApiStrokes } from "./ink.js";
import { download } from "./share.js";
import { load, save } from "./storage.js";
import { thumbnailItem, thumbnailOf } from "./thumbnails.js";

const KEY = "digits.corrections";

/**
 * A digit, a number, or null for no digit, which the last choice of a list stands for; undefined if there is none.
 * @param {EventTarget | null} field
 * @returns {Correction["label"] | undefined}
 */
function labelIn(field) {
  if (field instanceof HTMLSelectElement) return field.selectedIndex === field.length - 1 ? null : Number(field.value);
  if (!(field instanceof HTMLInputElement) || !field.reportValidity()) return undefined;
  const text = field.value.trim().replaceAll(/ +/g, " ");
  return text.length > 1 ? text : text ? Number(text) : undefined;
}

export class Corrections {
  #root;
  #texts;
  #open;

  /**
   * @param {HTMLElement} root
   * @param {Record<"delete_correction" | "no_digit", string>} texts
   * @param {(entry: HistoryEntry) => void} open
   */
  constructor(root, texts, open) {
    this.#root = root;
    this.#texts = texts;
    this.#open = open;
    const [saveButton, deleteButton] = root.querySelectorAll("button");
    saveButton.addEventListener("click", () => download("corrections.jsonl", loadCorrections().map(toLine).join("")));
    deleteButton.addEventListener("click", () => this.#keep([]));
    this.#render();
  }

  /**
   * Keep what a field says of a drawing or picture, in place of an earlier correction of it. Returns whether it does.
   * @param {EventTarget | null} field
   * @param {HistoryEntry} entry
   */
  add(field, entry) {
    const label = labelIn(field);
    if (label === undefined) return false;
    const key = subjectKey(entry);
    this.#keep([{ ...entry, label }, ...loadCorrections().filter((other) => subjectKey(other) !== key)]);
    return true;
  }

  /** @param {Correction[]} corrections */
  #keep(corrections) {
    save("localStorage", KEY, corrections);
    this.#render();
  }

  #render() {
    const corrections = loadCorrections();
    this.#root.hidden = corrections.length === 0;
    const items = corrections.map((correction) => {
      const { label, prediction } = correction;
      const answer = isNumber(prediction) || prediction.is_digit ? numeralOf(prediction) : "?";
      const caption = `${answer} → ${label ?? this.#texts.no_digit}`;
      const { item } = thumbnailItem(thumbnailOf(correction), caption, () => this.#open(correction));
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "quiet";
      remove.textContent = "×";
      remove.ariaLabel = this.#texts.delete_correction.replace("{correction}", caption);
      remove.addEventListener("click", () => this.#keep(loadCorrections().filter(({ id }) => id !== correction.id)));
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
const numeralOf = (prediction) => (isNumber(prediction) ? prediction.text.replaceAll("\n", " ") : prediction.digit);

/**
 * A line of the file: the true digit or null as label, or the true number as text; the drawing or picture; and which
 * model answered what.
 * @param {Correction} correction
 */
function toLine({ label, prediction, ...subject }) {
  const { model, is_digit, top } = prediction;
  const input = "strokes" in subject ? { strokes: toApiStrokes(subject.strokes) } : { picture: subject.picture };
  const answer = isNumber(prediction)
    ? { text: prediction.text, confidence: prediction.confidence }
    : { digit: prediction.digit, is_digit, confidence: top[0].confidence };
  const truth = typeof label === "string" ? { text: label } : { label };
  return `${JSON.stringify({ ...truth, ...input, model, answer })}\n`;
}
