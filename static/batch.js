// Reads several pictures, one after the other, into a list.

import { ApiError } from "./api.js";
import { RequestQueue } from "./request-queue.js";
import { pictureThumbnail, thumbnailItem } from "./thumbnails.js";

/** @typedef {Prediction | ApiError} Outcome */
/** @typedef {{ file: File, item: Element, words: Element, outcome: Outcome | null }} Row */

export class BatchList {
  #list;
  #predict;
  #describe;
  #open;
  #onPrediction;
  /** @type {RequestQueue<File, Prediction> | null} */
  #queue = null;
  /** @type {string[]} */
  #thumbnailUrls = [];

  /**
   * @param {HTMLElement} list
   * @param {{
   *   predict: (file: File, signal: AbortSignal) => Promise<Prediction>,
   *   describe: (outcome: Outcome) => Answer,
   *   open: (file: File, outcome: Outcome) => void,
   *   onPrediction: (file: File, prediction: Prediction) => void,
   * }} options `open` shows one of the pictures in full
   */
  constructor(list, { predict, describe, open, onPrediction }) {
    this.#list = list;
    this.#predict = predict;
    this.#describe = describe;
    this.#open = open;
    this.#onPrediction = onPrediction;
  }

  /**
   * Read all files, and open the first of them.
   * @param {File[]} files
   */
  async read(files) {
    this.clear();
    const rows = files.map((file) => this.#createRow(file));
    this.#list.replaceChildren(...rows.map(({ item }) => item));
    this.#list.hidden = false;
    for (const row of rows) {
      const outcome = await this.#readRow(row);
      if (!this.#list.contains(row.item)) return;
      if (row === rows[0]) this.#open(row.file, outcome);
    }
  }

  /** Empty the list, and cancel what is being read. */
  clear() {
    this.#queue?.cancel();
    for (const url of this.#thumbnailUrls) URL.revokeObjectURL(url);
    this.#thumbnailUrls = [];
    this.#list.replaceChildren();
    this.#list.hidden = true;
  }

  /** @param {File} file */
  #createRow(file) {
    const url = URL.createObjectURL(file);
    this.#thumbnailUrls.push(url);
    const { item, button } = thumbnailItem(pictureThumbnail(url), file.name, () => {
      if (row.outcome) this.#open(file, row.outcome);
    });
    const words = document.createElement("strong");
    words.textContent = "…";
    button.append(words);
    /** @type {Row} */
    const row = { file, item, words, outcome: null };
    return row;
  }

  /**
   * Resolves once there is a prediction, or an error that is not transient.
   * @param {Row} row
   * @returns {Promise<Outcome>}
   */
  #readRow(row) {
    const show = (/** @type {Outcome} */ outcome) => {
      row.outcome = outcome;
      row.words.textContent = this.#describe(outcome).words;
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
