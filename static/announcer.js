// Announces text to screen readers, through a live region.

const SETTLED = 700; // ms without a newer answer before one is announced

export class Announcer {
  #region;
  /** @type {string | null} */
  #pending = null;
  #timer = 0;

  /** @param {HTMLElement} region */
  constructor(region) {
    this.#region = region;
  }

  /**
   * Announce `text` now; a pending announcement follows it.
   * @param {string} text
   */
  announce(text) {
    this.#region.textContent = text;
    if (this.#pending) this.announceWhenSettled(this.#pending);
  }

  /**
   * Announce `text` unless a newer one comes within a moment.
   * @param {string} text
   */
  announceWhenSettled(text) {
    clearTimeout(this.#timer);
    this.#pending = text;
    this.#timer = setTimeout(() => {
      this.#pending = null;
      this.announce(text);
    }, SETTLED);
  }
}
