// Plays a drawing back as it was drawn.

import { beginning } from "./ink.js";

const POINTS_PER_SECOND = 40;
const SHORTEST = 1_500; // ms
const LONGEST = 6_000;
const STILL = 900; // ms that each stroke stands where motion is unwelcome

const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Playback extends EventTarget {
  #strokes = null;
  #timer = 0;

  get isPlaying() {
    return this.#strokes !== null;
  }

  /** Call `show` with more and more of the strokes, and dispatch "end" after the last of them, or after `stop`. */
  play(strokes, show) {
    this.#strokes = strokes;
    if (still.matches) this.#step(show, 1);
    else this.#move(show);
  }

  stop() {
    if (!this.isPlaying) return;
    cancelAnimationFrame(this.#timer);
    clearTimeout(this.#timer);
    this.#strokes = null;
    this.dispatchEvent(new Event("end"));
  }

  /** Stroke after stroke. */
  #step(show, count) {
    show(this.#strokes.slice(0, count));
    const isLast = count === this.#strokes.length;
    this.#timer = setTimeout(() => (isLast ? this.stop() : this.#step(show, count + 1)), STILL);
  }

  /** Point after point, with every frame of the screen. */
  #move(show) {
    const total = this.#strokes.flat().length;
    const length = Math.min(LONGEST, Math.max(SHORTEST, (1000 * total) / POINTS_PER_SECOND));
    const started = performance.now();
    const tick = (now) => {
      const share = (now - started) / length;
      if (share >= 1) {
        this.stop();
        return;
      }
      show(beginning(this.#strokes, Math.max(1, Math.ceil(total * share))));
      this.#timer = requestAnimationFrame(tick);
    };
    tick(started);
  }
}
