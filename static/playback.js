// Plays a drawing back as it was drawn.

import { firstPoints } from "./ink.js";

const POINTS_PER_SECOND = 40;
const MIN_DURATION = 1_500; // ms
const MAX_DURATION = 6_000;
const STROKE_DURATION = 900; // ms per stroke where reduced motion is preferred

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

export class Playback {
  #button;
  #pad;
  #read;
  #onEnd;
  /** @type {Stroke[] | null} What is being played. */
  #strokes = null;
  #timer = 0;

  /**
   * @param {HTMLButtonElement} button is pressed while it plays
   * @param {Pad} pad
   * @param {(strokes: Stroke[]) => void} read
   * @param {(strokes: Stroke[]) => void} onEnd called when it has finished or been stopped
   */
  constructor(button, pad, read, onEnd) {
    this.#button = button;
    this.#pad = pad;
    this.#read = read;
    this.#onEnd = onEnd;
  }

  get isPlaying() {
    return this.#strokes !== null;
  }

  /**
   * Show and read a growing part of the strokes.
   * @param {Stroke[]} strokes
   */
  play(strokes) {
    this.#strokes = strokes;
    this.#button.ariaPressed = "true";
    if (reducedMotion.matches) this.#showStrokes(strokes, 1);
    else this.#animate(strokes);
  }

  stop() {
    const strokes = this.#strokes;
    if (!strokes) return;
    cancelAnimationFrame(this.#timer);
    clearTimeout(this.#timer);
    this.#strokes = null;
    this.#button.ariaPressed = "false";
    this.#pad.override(null);
    this.#onEnd(strokes);
  }

  /** @param {Stroke[]} strokes */
  #show(strokes) {
    this.#pad.override(strokes);
    this.#read(strokes);
  }

  /**
   * @param {Stroke[]} strokes
   * @param {number} count
   */
  #showStrokes(strokes, count) {
    this.#show(strokes.slice(0, count));
    const next = () => (count === strokes.length ? this.stop() : this.#showStrokes(strokes, count + 1));
    this.#timer = setTimeout(next, STROKE_DURATION);
  }

  /** @param {Stroke[]} strokes */
  #animate(strokes) {
    const total = strokes.flat().length;
    const duration = Math.min(MAX_DURATION, Math.max(MIN_DURATION, (1000 * total) / POINTS_PER_SECOND));
    const start = performance.now();
    const tick = (/** @type {number} */ now) => {
      const share = (now - start) / duration;
      if (share >= 1) {
        this.stop();
        return;
      }
      this.#show(firstPoints(strokes, Math.max(1, Math.ceil(total * share))));
      this.#timer = requestAnimationFrame(tick);
    };
    tick(start);
  }
}
