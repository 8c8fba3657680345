// Explains an answer with a heat map over the ink.

import { choice } from "./answer.js";
import { ApiError, post } from "./api.js";
import { drawStroke } from "./ink.js";
import { RequestQueue } from "./request-queue.js";

export class ExplanationView {
  #button;
  #digits;
  #canvas;
  #sheet;
  #locate;
  #prepare;
  /** @type {{ input: Input, digit: number, place?: number } | null} */
  #subject = null;
  #queue;

  /**
   * @param {{ button: HTMLElement, digits: HTMLElement, canvas: HTMLCanvasElement, sheet: HTMLElement }} elements
   * @param {string} url
   * @param {object} options
   * @param {(box: Box) => Promise<Box | null>} options.locate maps an area of the input to the sheet; null if that is
   *   not possible
   * @param {(canvas: HTMLCanvasElement) => CanvasRenderingContext2D} options.prepare clears a canvas, and gives it the
   *   units of the sheet
   * @param {(error: ApiError) => void} options.onError
   */
  constructor({ button, digits, canvas, sheet }, url, { locate, prepare, onError }) {
    this.#button = button;
    this.#digits = digits;
    this.#canvas = canvas;
    this.#sheet = sheet;
    this.#locate = locate;
    this.#prepare = prepare;
    /** @type {RequestQueue<{ input: Input, query: string }, Explanation>} */
    this.#queue = new RequestQueue(({ input, query }, signal) => post(`${url}?${query}`, input, signal), {
      onResponse: (explanation) => this.#paint(explanation),
      onError: () => {
        this.#hide();
        onError(new ApiError("no_explanation"));
      },
    });
    digits.append(...Array.from({ length: 10 }, (_, digit) => choice("explained-digit", digit, digit)));
    digits.addEventListener("change", () => this.#request());
  }

  /**
   * Set the input that can be explained, its predicted digit, and the place of that in a number.
   * @param {Input} input
   * @param {number} digit
   * @param {number} [place]
   */
  setSubject(input, digit, place) {
    this.#subject = { input, digit, place };
    if (this.isShown) this.#show();
  }

  /** The ink is changing: its heat map is out of date, and the next subject gets one. */
  clearSubject() {
    this.#subject = null;
    this.#clear();
  }

  /** There is no ink to explain. */
  stop() {
    this.#hide();
    this.clearSubject();
  }

  toggle() {
    if (this.isShown) this.#hide();
    else this.#show();
  }

  /** The sheet has another size. */
  refresh() {
    if (this.isShown) this.#request();
  }

  get isShown() {
    return this.#button.ariaPressed === "true";
  }

  #show() {
    if (!this.#subject) return;
    this.#button.ariaPressed = "true";
    this.#digits.hidden = false;
    this.#radio(`[value="${this.#subject.digit}"]`).checked = true;
    this.#request();
  }

  #hide() {
    this.#button.ariaPressed = "false";
    this.#digits.hidden = true;
    this.#clear();
  }

  #clear() {
    this.#queue.cancel();
    this.#canvas.hidden = true;
    this.#sheet.classList.remove("with-heatmap");
  }

  #request() {
    if (!this.#subject) return;
    const { input, place } = this.#subject;
    const digit = `digit=${this.#radio(":checked").value}`;
    this.#queue.put({ input, query: place === undefined ? digit : `${digit}&place=${place}` });
  }

  /** @param {string} selector */
  #radio(selector) {
    return /** @type {HTMLInputElement} */ (this.#digits.querySelector(selector));
  }

  /** @param {Explanation} explanation */
  async #paint({ heat, box }) {
    const subject = this.#subject;
    const place = await this.#locate(box);
    if (!place || !subject || this.#subject !== subject || !this.isShown) return;
    const { color, outlineColor } = getComputedStyle(this.#canvas);
    const context = this.#prepare(this.#canvas);
    context.drawImage(drawCells(heat, color, outlineColor), ...place);
    if (!(subject.input instanceof Blob)) this.#cutOut(context, subject.input);
    this.#canvas.hidden = false;
    this.#sheet.classList.add("with-heatmap");
  }

  /**
   * Leave only what lies on the ink of a drawing.
   * @param {CanvasRenderingContext2D} context
   * @param {Stroke[]} strokes
   */
  #cutOut(context, strokes) {
    const ink = this.#prepare(document.createElement("canvas"));
    ink.lineCap = ink.lineJoin = "round";
    for (const stroke of strokes) drawStroke(ink, stroke);
    context.resetTransform();
    context.globalCompositeOperation = "destination-in";
    context.drawImage(ink.canvas, 0, 0);
  }
}

/**
 * One pixel per cell, more opaque the larger its value.
 * @param {number[][]} heat
 * @param {string} positive color
 * @param {string} negative color
 */
function drawCells(heat, positive, negative) {
  const canvas = document.createElement("canvas");
  canvas.width = heat[0].length;
  canvas.height = heat.length;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  for (const [y, row] of heat.entries()) {
    for (const [x, value] of row.entries()) {
      context.fillStyle = value > 0 ? positive : negative;
      context.globalAlpha = Math.abs(value);
      context.fillRect(x, y, 1, 1);
    }
  }
  return canvas;
}
