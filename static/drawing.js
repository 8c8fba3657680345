// A drawing that can be taken back step by step. It speaks in events: "ink" whenever its strokes have changed, "rest"
// when they have changed and no stroke is being drawn.

import { addPoint } from "./ink.js";

export class Drawing extends EventTarget {
  #strokes = [];
  #past = []; // what undo brings back, a list of strokes for each step
  #future = []; // what redo brings back
  #isOpen = false; // a stroke is being drawn

  get strokes() {
    return this.#strokes;
  }

  get isEmpty() {
    return this.#strokes.length === 0;
  }

  get isOpen() {
    return this.#isOpen;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** Begin a stroke; `extend` draws it, `end` or `drop` ends it. */
  begin() {
    this.#keep();
    this.#strokes = [...this.#strokes, []];
    this.#isOpen = true;
  }

  /** Draw the stroke that has begun on to [x, y, pressure], each. */
  extend(...points) {
    const stroke = this.#strokes.at(-1);
    const added = points.map((point) => addPoint(stroke, ...point));
    if (added.includes(true)) this.#tell("ink");
  }

  end() {
    this.#isOpen = false;
    this.#tell("rest");
  }

  /** Take the stroke that has begun away, as if it had never been. */
  drop() {
    this.#strokes = this.#past.pop();
    this.#closed();
  }

  /** Take the last step back; a stroke that is still being drawn is one. */
  undo() {
    this.#go(this.#past, this.#future);
  }

  redo() {
    this.#go(this.#future, this.#past);
  }

  clear() {
    if (!this.isEmpty) this.replace([]);
  }

  /** Put other strokes in their place; undo brings the old ones back. */
  replace(strokes) {
    this.#keep();
    this.#strokes = strokes;
    this.#closed();
  }

  /** Begin with strokes of an earlier visit, each of which is a step. */
  restore(strokes) {
    this.#past = strokes.map((_, count) => strokes.slice(0, count));
    this.#future = [];
    this.#strokes = strokes;
    this.#closed();
  }

  #keep() {
    this.#past.push(this.#strokes);
    this.#future = [];
  }

  #go(from, to) {
    if (from.length === 0) return;
    to.push(this.#strokes);
    this.#strokes = from.pop();
    this.#closed();
  }

  #closed() {
    this.#isOpen = false;
    this.#tell("ink");
    this.#tell("rest");
  }

  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}
