// The latest drawings and pictures with their predictions, kept in this browser only.

import { fill } from "./answer.js";
import { fromEntry, isEntry, subjectKey, toSubject } from "./entries.js";
import { loadPicture } from "./picture.js";
import { load, save } from "./storage.js";
import { thumbnailItem, thumbnailOf } from "./thumbnails.js";

const KEY = "digits.history";
const MAX_ENTRIES = 20;
const SETTLED = 700; // ms without a newer prediction before one is saved

export class History {
  #root;
  #list;
  #label;
  #describe;
  #open;
  /** @type {number | null} Id of the entry that the next prediction updates. */
  #currentId = null;
  /** @type {HistoryEntry | null} */
  #unsaved = null;
  #timer = 0;

  /**
   * @param {HTMLElement} root
   * @param {string} label of the button that opens an entry
   * @param {(prediction: Prediction) => Answer} describe
   * @param {(entry: ReadInput) => void} open
   */
  constructor(root, label, describe, open) {
    this.#label = label;
    this.#root = root;
    this.#list = /** @type {Element} */ (root.querySelector("ol"));
    this.#describe = describe;
    this.#open = open;
    const deleteButton = root.querySelector("button");
    deleteButton?.addEventListener("click", () => {
      if (confirm(`${deleteButton.textContent}?`)) this.#clear();
    });
    addEventListener("pagehide", () => this.#saveCurrent());
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted) this.#render(loadEntries());
    });
    addEventListener("storage", () => this.#render(loadEntries()));
    this.#render(loadEntries());
  }

  /** Complete the current entry: the next prediction starts a new one. */
  closeEntry() {
    if (this.#unsaved) this.#render(this.#saveCurrent());
    this.#currentId = null;
  }

  /**
   * Update the current entry, or start one.
   * @param {ReadInput} answer
   * @param {Promise<LoadedPicture | null>} loading the picture
   */
  async updateEntry({ input, prediction }, loading) {
    this.#currentId ??= Date.now();
    const id = this.#currentId;
    const subject = await toSubject(input, loading);
    if (!subject) return;
    const entry = { id, ...subject, prediction };
    if (id !== this.#currentId) return this.#render(saveEntry(entry)); // it was closed meanwhile
    this.#unsaved = entry;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#render(this.#saveCurrent()), SETTLED);
  }

  /**
   * Add a picture, apart from the current entry.
   * @param {File} file
   * @param {Prediction} prediction
   * @param {number} id larger than those of earlier entries
   */
  async addPicture(file, prediction, id) {
    const subject = await toSubject(file, loadPicture(file));
    if (subject) this.#render(saveEntry({ id, ...subject, prediction }));
  }

  /** Returns all entries. They are not rendered here, because a page cannot load thumbnails during `pagehide`. */
  #saveCurrent() {
    clearTimeout(this.#timer);
    const entries = this.#unsaved ? saveEntry(this.#unsaved) : loadEntries();
    this.#unsaved = null;
    return entries;
  }

  #clear() {
    clearTimeout(this.#timer);
    this.#unsaved = this.#currentId = null;
    save("localStorage", KEY, []);
    this.#render([]);
  }

  /** @param {HistoryEntry[]} entries */
  #render(entries) {
    this.#root.classList.toggle("is-empty", entries.length === 0);
    const items = entries.map((entry) => {
      const { numeral, words } = this.#describe(entry.prediction);
      const { item, button } = thumbnailItem(thumbnailOf(entry), numeral, () => this.#open(fromEntry(entry)));
      button.ariaLabel = fill(this.#label, { words });
      return item;
    });
    this.#list.replaceChildren(...items);
  }
}

/**
 * Save an entry; the newest come first. Returns all entries.
 * @param {HistoryEntry} entry
 */
function saveEntry(entry) {
  const isOther = (/** @type {HistoryEntry} */ other) =>
    other.id !== entry.id && subjectKey(other) !== subjectKey(entry);
  let entries = [entry, ...loadEntries().filter(isOther)].sort((a, b) => b.id - a.id).slice(0, MAX_ENTRIES);
  // Browsers limit storage to a few megabytes: the oldest entries are dropped.
  while (!save("localStorage", KEY, entries) && entries.length > 1) entries = entries.slice(0, -1);
  return entries;
}

/** The usable entries: other versions of this page may have stored something else. */
function loadEntries() {
  const entries = load("localStorage", KEY);
  return Array.isArray(entries) ? entries.filter(isEntry) : [];
}
