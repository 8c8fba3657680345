// What is seen of a drawing: strokes are the truth, the canvas only a view of them.

import { SIDE, paint } from "./ink.js";

const PEN_RING = 10; // radius of the keyboard's pen, in units of the sheet

export class Pad {
  #canvas;
  #context;
  #drawing;
  #shown = null; // strokes that are shown in place of the drawing's
  #pen = null; // where the keyboard's pen is: {x, y, isDown}
  #due = 0; // id of the animation frame that will redraw, 0 if none is due

  constructor(canvas, drawing) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#drawing = drawing;
    drawing.addEventListener("ink", () => this.redraw());
    this.#watchSize();
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.redraw());
    }
  }

  /** Show other strokes than the drawing's; null shows the drawing again. */
  show(strokes) {
    this.#shown = strokes;
    this.redraw();
  }

  /** Show the keyboard's pen at {x, y, isDown}; null takes it away. */
  showPen(pen) {
    this.#pen = pen;
    this.redraw();
  }

  /** Where an event is on the sheet. */
  place({ clientX, clientY }) {
    // Measured each time: the page may have been scrolled, zoomed or turned since the last one.
    const box = this.#canvas.getBoundingClientRect();
    return [((clientX - box.left) / box.width) * SIDE, ((clientY - box.top) / box.height) * SIDE];
  }

  /** Draw anew with the next frame of the screen. */
  redraw() {
    this.#due ||= requestAnimationFrame(() => this.#draw());
  }

  #watchSize() {
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
    const watchRatio = () => {
      this.#fit();
      // Moved to another screen, or zoomed: the canvas may keep its size and yet have other pixels.
      matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", watchRatio, { once: true });
    };
    watchRatio();
  }

  /** One pixel of the canvas for each of the screen. */
  #fit() {
    const width = Math.round(this.#canvas.getBoundingClientRect().width * devicePixelRatio);
    if (width !== this.#canvas.width) this.#canvas.width = this.#canvas.height = width;
    this.#draw();
  }

  #draw() {
    cancelAnimationFrame(this.#due);
    this.#due = 0;
    const { width } = this.#canvas;
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, width);
    context.scale(width / SIDE, width / SIDE);
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = getComputedStyle(this.#canvas).color;
    for (const stroke of this.#shown ?? this.#drawing.strokes) paint(context, stroke);
    if (this.#pen) this.#drawPen(this.#pen);
  }

  #drawPen({ x, y, isDown }) {
    const context = this.#context;
    context.strokeStyle = getComputedStyle(this.#canvas).outlineColor;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, isDown ? PEN_RING / 2 : PEN_RING, 0, 2 * Math.PI);
    context.stroke();
  }
}
