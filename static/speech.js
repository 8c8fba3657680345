// What a screen reader is told.

const SETTLED = 700; // ms without change before an answer is read out

export class Speech {
  #region;
  #waiting = null;
  #timer = 0;

  constructor(region) {
    this.#region = region;
  }

  /** Say it at once; what waits is said after it. */
  say(text) {
    this.#region.textContent = text;
    if (this.#waiting) this.sayOnceSettled(this.#waiting);
  }

  /** Say it once nothing newer has come for a while. */
  sayOnceSettled(text) {
    clearTimeout(this.#timer);
    this.#waiting = text;
    this.#timer = setTimeout(() => {
      this.#waiting = null;
      this.say(text);
    }, SETTLED);
  }
}
