// What a screen reader is told.

const SETTLED = 700; // ms without change before an answer is read out

export class Speech {
  #region;
  #timer = 0;

  constructor(region) {
    this.#region = region;
  }

  /** Say it at once. */
  say(text) {
    clearTimeout(this.#timer);
    this.#region.textContent = text;
  }

  /** Say it once nothing newer has come for a while. */
  sayOnceSettled(text) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.say(text), SETTLED);
  }
}
