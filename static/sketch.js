// The strokes on the pad, with undo and redo.

import { addPoint, isAt } from "./ink.js";

/** Dispatches "input" whenever the strokes change, and "change" once a step is complete. */
export class Sketch extends EventTarget {
  /** @type {Stroke[]} */
  #strokes = [];
  /** @type {Stroke[][]} */
  #undoStack = [];
  /** @type {Stroke[][]} */
  #redoStack = [];
  #isDrawing = false;

  get strokes() {
    return this.#strokes;
  }

  get isEmpty() {
    return this.#strokes.length === 0;
  }

  /** Whether a stroke is being drawn. */
  get isDrawing() {
    return this.#isDrawing;
  }

  get canUndo() {
    return this.#undoStack.length > 0;
  }

  get canRedo() {
    return this.#redoStack.length > 0;
  }

  /** Begin a stroke; `extend` continues it, `endStroke` or `dropStroke` ends it. */
  beginStroke() {
    this.#saveStep();
    this.#strokes = [...this.#strokes, []];
    this.#isDrawing = true;
  }

  /** @param {PenPosition[]} positions */
  extend(...positions) {
    const stroke = this.#strokes[this.#strokes.length - 1];
    const added = positions.map((position) => addPoint(stroke, position));
    if (added.includes(true)) this.dispatchEvent(new Event("input"));
  }

  endStroke() {
    this.#isDrawing = false;
    this.dispatchEvent(new Event("change"));
  }

  /** Remove the stroke being drawn, leaving no step to undo. */
  dropStroke() {
    this.#set(this.#undoStack.pop() ?? []);
  }

  /** Undo the last step; a stroke being drawn is one. */
  undo() {
    this.#step(this.#undoStack, this.#redoStack);
  }

  redo() {
    this.#step(this.#redoStack, this.#undoStack);
  }

  /**
   * Remove the strokes at a place, as one step.
   * @param {number} x
   * @param {number} y
   */
  erase(x, y) {
    const others = this.#strokes.filter((stroke) => !isAt(stroke, x, y));
    if (others.length < this.#strokes.length) this.replace(others);
  }

  clear() {
    if (!this.isEmpty) this.replace([]);
  }

  /**
   * Replace all strokes, as one step.
   * @param {Stroke[]} strokes
   */
  replace(strokes) {
    this.#saveStep();
    this.#set(strokes);
  }

  /**
   * Restore the strokes of an earlier visit, each as a step.
   * @param {Stroke[]} strokes
   */
  restore(strokes) {
    this.#undoStack = strokes.map((_, count) => strokes.slice(0, count));
    this.#redoStack = [];
    this.#set(strokes);
  }

  #saveStep() {
    this.#undoStack.push(this.#strokes);
    this.#redoStack = [];
  }

  /**
   * @param {Stroke[][]} from
   * @param {Stroke[][]} to
   */
  #step(from, to) {
    const strokes = from.pop();
    if (!strokes) return;
    to.push(this.#strokes);
    this.#set(strokes);
  }

  /** @param {Stroke[]} strokes */
  #set(strokes) {
    this.#strokes = strokes;
    this.#isDrawing = false;
    this.dispatchEvent(new Event("input"));
    this.dispatchEvent(new Event("change"));
  }
}
