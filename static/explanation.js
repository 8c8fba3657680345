// Explains an answer with a heat map over the ink.

import { choice, isNumber } from "./answer.js";
import { ApiError, post } from "./api.js";
import { element } from "./elements.js";
import { drawStroke } from "./ink.js";
import { RequestQueue } from "./request-queue.js";

export class ExplanationView {
  #button;
  #digits = element("explained-digit", HTMLElement);
  #canvas = element("heatmap", HTMLCanvasElement);
  #sheet = element("sheet", HTMLElement);
  #pad;
  #picture;
  /** @type {{ input: Input, digit: number, place?: number } | null} */
  #subject = null;
  /** @type {Explanation | null} What is painted. */
  #painted = null;
  #queue;

  /**
   * @param {HTMLElement} button is pressed while the explanation is shown
   * @param {string} url
   * @param {Pad} pad
   * @param {Picture} picture
   * @param {(error: ApiError) => void} onError
   */
  constructor(button, url, pad, picture, onError) {
    this.#button = button;
    this.#pad = pad;
    this.#picture = picture;
    /** @type {RequestQueue<{ input: Input, query: string }, Explanation>} */
    this.#queue = new RequestQueue(({ input, query }, signal) => post(`${url}?${query}`, input, signal), {
      onResponse: (explanation) => this.#paint(explanation),
      onError: ({ code }) => {
        if (code === "slow" && this.#queue.isBusy) return; // it may still come
        this.#hide();
        onError(new ApiError("no_explanation"));
      },
    });
    this.#digits.append(...Array.from({ length: 10 }, (_, digit) => choice("explained-digit", digit, digit)));
    this.#digits.addEventListener("change", () => this.#request());
    // After the pad's own observer, which fits the pad to its new size.
    new ResizeObserver(() => this.#painted && this.#paint(this.#painted)).observe(element("pad", HTMLCanvasElement));
  }

  /**
   * Set the answer that can be explained, and which digit of it.
   * @param {ReadInput} answer
   * @param {number} place
   */
  setSubject({ input, prediction }, place) {
    this.#subject = isNumber(prediction)
      ? { input, digit: prediction.digits[place].digit, place }
      : { input, digit: prediction.digit };
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
    this.#painted = null;
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
  async #paint(explanation) {
    const { heat, box } = explanation;
    const subject = this.#subject;
    const place = this.#picture.file ? await this.#picture.locate(box, this.#pad.size) : box;
    if (!place || !subject || this.#subject !== subject || !this.isShown) return;
    const { color, outlineColor } = getComputedStyle(this.#canvas);
    const context = this.#pad.prepare(this.#canvas);
    context.drawImage(drawCells(heat, color, outlineColor), ...place);
    if (!(subject.input instanceof Blob)) this.#cutOut(context, subject.input);
    this.#painted = explanation;
    this.#canvas.hidden = false;
    this.#sheet.classList.add("with-heatmap");
  }

  /**
   * Leave only what lies on the ink of a drawing.
   * @param {CanvasRenderingContext2D} context
   * @param {Stroke[]} strokes
   */
  #cutOut(context, strokes) {
    const ink = this.#pad.prepare(document.createElement("canvas"));
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
