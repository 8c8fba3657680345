// Plays a drawing back as it was drawn.

import { firstPoints } from "./ink.js";

const POINTS_PER_SECOND = 40;
const MIN_DURATION = 1_500; // ms
const MAX_DURATION = 6_000;
const STROKE_DURATION = 900; // ms per stroke where reduced motion is preferred

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** Dispatches "end" when it has finished or been stopped. */
export class Playback extends EventTarget {
  #isPlaying = false;
  #timer = 0;

  get isPlaying() {
    return this.#isPlaying;
  }

  /**
   * Call `show` with a growing part of the strokes.
   * @param {Stroke[]} strokes
   * @param {(strokes: Stroke[]) => void} show
   */
  play(strokes, show) {
    this.#isPlaying = true;
    if (reducedMotion.matches) this.#showStrokes(strokes, show, 1);
    else this.#animate(strokes, show);
  }

  stop() {
    if (!this.#isPlaying) return;
    cancelAnimationFrame(this.#timer);
    clearTimeout(this.#timer);
    this.#isPlaying = false;
    this.dispatchEvent(new Event("end"));
  }

  /**
   * @param {Stroke[]} strokes
   * @param {(strokes: Stroke[]) => void} show
   * @param {number} count
   */
  #showStrokes(strokes, show, count) {
    show(strokes.slice(0, count));
    const next = () => (count === strokes.length ? this.stop() : this.#showStrokes(strokes, show, count + 1));
    this.#timer = setTimeout(next, STROKE_DURATION);
  }

  /**
   * @param {Stroke[]} strokes
   * @param {(strokes: Stroke[]) => void} show
   */
  #animate(strokes, show) {
    const total = strokes.flat().length;
    const duration = Math.min(MAX_DURATION, Math.max(MIN_DURATION, (1000 * total) / POINTS_PER_SECOND));
    const start = performance.now();
    const tick = (/** @type {number} */ now) => {
      const share = (now - start) / duration;
      if (share >= 1) {
        this.stop();
        return;
      }
      show(firstPoints(strokes, Math.max(1, Math.ceil(total * share))));
      this.#timer = requestAnimationFrame(tick);
    };
    tick(start);
  }
}
