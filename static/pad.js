// Shows strokes on a canvas. The strokes are the data; the canvas is only a view of them.

import { drawStroke, SHEET_HEIGHT } from "./ink.js";

const CURSOR_RADIUS = 10; // of the keyboard's pen, in units of the sheet

export class Pad {
  #canvas;
  #context;
  #sketch;
  /** @type {Stroke[] | null} */
  #override = null;
  /** @type {{ x: number, y: number, isDown: boolean } | null} */
  #cursor = null;
  #frameRequest = 0;
  #unit = 1; // pixels of the canvas

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Sketch} sketch
   */
  constructor(canvas, sketch) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.#sketch = sketch;
    sketch.addEventListener("input", () => {
      // Growing would move the ink under an eraser.
      if (sketch.isEmpty) this.#unit = this.#fittingUnit;
      else if (!sketch.isDrawing) this.#unit = Math.min(this.#unit, this.#fittingUnit);
      this.#redraw();
    });
    this.#watchSize();
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.#redraw());
    }
  }

  /**
   * Show these strokes in place of the sketch; null shows the sketch again.
   * @param {Stroke[] | null} strokes
   */
  override(strokes) {
    this.#override = strokes;
    this.#redraw();
  }

  /**
   * Show the keyboard's pen; null hides it.
   * @param {{ x: number, y: number, isDown: boolean } | null} cursor
   */
  showCursor(cursor) {
    this.#cursor = cursor;
    this.#redraw();
  }

  /**
   * What the canvas shows, in units of the sheet.
   * @returns {[width: number, height: number]}
   */
  get size() {
    return [this.#canvas.width / this.#unit, this.#canvas.height / this.#unit];
  }

  /**
   * The place on the sheet that is nearest to another.
   * @param {[x: number, y: number]} place
   * @returns {[x: number, y: number]}
   */
  clamp([x, y]) {
    const [width, height] = this.size;
    return [Math.min(width, Math.max(0, x)), Math.min(height, Math.max(0, y))];
  }

  /**
   * Where an event is on the sheet, or beside it.
   * @param {PointerEvent} event
   * @returns {[x: number, y: number]}
   */
  locate({ clientX, clientY }) {
    // Measured each time, because the page may have been scrolled, zoomed or rotated.
    const box = this.#canvas.getBoundingClientRect();
    const scale = this.size[0] / box.width;
    return [(clientX - box.left) * scale, (clientY - box.top) * scale];
  }

  /**
   * Clear another canvas that lies on this one, and give it the units of the sheet.
   * @param {HTMLCanvasElement} canvas
   */
  prepare(canvas) {
    Object.assign(canvas, { width: this.#canvas.width, height: this.#canvas.height });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(this.#unit, this.#unit);
    return context;
  }

  #redraw() {
    this.#frameRequest ||= requestAnimationFrame(() => this.#draw());
  }

  #watchSize() {
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
    const watchPixelRatio = () => {
      this.#fit();
      // On another screen or zoom level, the canvas may keep its size but have other pixels.
      const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
      query.addEventListener("change", watchPixelRatio, { once: true });
    };
    watchPixelRatio();
  }

  /** Match the resolution of the canvas to the screen. */
  #fit() {
    const box = this.#canvas.getBoundingClientRect();
    const [width, height] = [box.width, box.height].map((side) => Math.round(side * devicePixelRatio));
    if (!width || !height) return; // not laid out
    if (width !== this.#canvas.width || height !== this.#canvas.height) {
      Object.assign(this.#canvas, { width, height });
      this.#unit = this.#fittingUnit;
    }
    this.#draw();
  }

  /** The unit in which all ink is on the canvas: a drawing from another sheet may be wider or higher than this one. */
  get #fittingUnit() {
    let [right, bottom] = [1, SHEET_HEIGHT];
    for (const [x, y] of this.#sketch.strokes.flat()) [right, bottom] = [Math.max(right, x), Math.max(bottom, y)];
    return Math.min(this.#canvas.width / right, this.#canvas.height / bottom);
  }

  #draw() {
    cancelAnimationFrame(this.#frameRequest);
    this.#frameRequest = 0;
    const { width, height } = this.#canvas;
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.scale(this.#unit, this.#unit);
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = getComputedStyle(this.#canvas).color;
    for (const stroke of this.#override ?? this.#sketch.strokes) drawStroke(context, stroke);
    this.#drawCursor();
  }

  #drawCursor() {
    if (!this.#cursor) return;
    const { x, y, isDown } = this.#cursor;
    const context = this.#context;
    context.strokeStyle = getComputedStyle(this.#canvas).outlineColor;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, isDown ? CURSOR_RADIUS / 2 : CURSOR_RADIUS, 0, 2 * Math.PI);
    context.stroke();
  }
}
