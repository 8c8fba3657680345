// Reads several pictures, one after the other, into a list.

import { fill } from "./answer.js";
import { ApiError } from "./api.js";
import { element } from "./elements.js";
import { RequestQueue } from "./request-queue.js";
import { download } from "./share.js";
import { pictureThumbnail, thumbnailItem } from "./thumbnails.js";

/** @typedef {Prediction | ApiError} Outcome */
/** @typedef {{ file: File, item: Element, words: Element, note: Element, outcome: Outcome | null }} Row */

export class BatchList {
  #list = element("batch", HTMLElement);
  #head = element("batch-head", HTMLElement);
  #summary;
  #predict;
  #describe;
  #open;
  #onPrediction;
  /** @type {RequestQueue<File, Prediction> | null} */
  #queue = null;
  /** @type {Row[]} */
  #rows = [];
  /** @type {string[]} */
  #thumbnailUrls = [];

  /**
   * @param {{
   *   summary: string,
   *   predict: (file: File, signal: AbortSignal) => Promise<Prediction>,
   *   describe: (outcome: Outcome) => Answer,
   *   open: (read: { input: File, prediction: Outcome }) => void,
   *   onPrediction: (file: File, prediction: Prediction) => void,
   * }} options `open` shows one of the pictures in full
   */
  constructor({ summary, predict, describe, open, onPrediction }) {
    this.#summary = summary;
    this.#predict = predict;
    this.#describe = describe;
    this.#open = open;
    this.#onPrediction = onPrediction;
    this.#head.querySelector("button")?.addEventListener("click", () => download("digits.csv", this.#toCsv()));
  }

  /**
   * Read all files, and open the first of them.
   * @param {File[]} files
   * @param {() => boolean} mayOpen false once something else is on the sheet
   */
  async read(files, mayOpen) {
    this.clear();
    const rows = files.map((file) => this.#createRow(file));
    this.#rows = rows;
    this.#list.replaceChildren(...rows.map(({ item }) => item));
    this.#list.hidden = this.#head.hidden = false;
    this.#summarize();
    for (const row of rows) {
      const outcome = await this.#readRow(row);
      if (!this.#list.contains(row.item)) return;
      if (row === rows[0] && mayOpen()) this.#open({ input: row.file, prediction: outcome });
    }
  }

  /** Empty the list, and cancel what is being read. */
  clear() {
    this.#queue?.cancel();
    for (const url of this.#thumbnailUrls) URL.revokeObjectURL(url);
    this.#thumbnailUrls = [];
    this.#list.replaceChildren();
    this.#list.hidden = this.#head.hidden = true;
  }

  #summarize() {
    const outcomes = this.#rows.map(({ outcome }) => outcome);
    const failed = outcomes.filter((outcome) => outcome instanceof ApiError).length;
    const values = { read: outcomes.filter(Boolean).length - failed, total: outcomes.length, failed };
    /** @type {Element} */ (this.#head.firstElementChild).textContent = fill(this.#summary, values);
  }

  #toCsv() {
    const rows = this.#rows.map(({ file: { name }, outcome }) => {
      if (outcome === null) return [name, "", "", "", ""];
      if (outcome instanceof ApiError) return [name, "", "", "", this.#describe(outcome).note];
      const { digit, text = digit, confidence = 0, is_digit: isDigit } = outcome;
      return [name, text, confidence, isDigit, ""];
    });
    return [["name", "text", "confidence", "is_digit", "error"], ...rows].map(toCsvLine).join("");
  }

  /** @param {File} file */
  #createRow(file) {
    const url = URL.createObjectURL(file);
    this.#thumbnailUrls.push(url);
    const { item, button } = thumbnailItem(pictureThumbnail(url), file.name, () => {
      if (row.outcome) this.#open({ input: file, prediction: row.outcome });
    });
    const words = document.createElement("strong");
    words.textContent = "…";
    const note = document.createElement("small");
    button.append(words, note);
    /** @type {Row} */
    const row = { file, item, words, note, outcome: null };
    return row;
  }

  /**
   * Resolves once there is a prediction, or an error that is not transient.
   * @param {Row} row
   * @returns {Promise<Outcome>}
   */
  #readRow(row) {
    const show = (/** @type {Outcome} */ outcome) => {
      if (!(outcome instanceof ApiError && outcome.isTransient)) row.outcome = outcome;
      const { words, note } = this.#describe(outcome);
      row.words.textContent = words;
      row.note.textContent = note;
      this.#summarize();
    };
    return new Promise((resolve) => {
      this.#queue = new RequestQueue(this.#predict, {
        onResponse: (prediction) => {
          show(prediction);
          this.#onPrediction(row.file, prediction);
          resolve(prediction);
        },
        onError: (error) => {
          show(error);
          if (!error.isTransient) resolve(error);
        },
      });
      this.#queue.put(row.file);
    });
  }
}

/**
 * A line whose first field spreadsheets do not take for a formula.
 * @param {unknown[]} fields
 */
function toCsvLine([name, ...fields]) {
  const first = String(name).replace(/^[=+\-@\t\r']/, "'$&");
  const quote = (/** @type {unknown} */ field) =>
    typeof field === "string" ? `"${field.replaceAll('"', '""')}"` : String(field);
  return `${[first, ...fields].map(quote).join(",")}\n`;
}
