// Shows over the ink what spoke for a digit, and what against it.

import { ask } from "./api.js";
import { Conversation } from "./conversation.js";
import { SIDE } from "./ink.js";

export class Why {
  #button;
  #choices;
  #canvas;
  #sheet;
  #place;
  #input = null; // what the answer is about
  #answer = null;
  #conversation;

  /**
   * `button` shows and hides the map on `canvas`, `choices` are ten radio buttons; `sheet` is told by a class.
   * `place(box)` gives where a box of what was asked about is on the sheet, as shares of its side; null if nowhere.
   */
  constructor({ button, choices, canvas, sheet }, url, { place, onProblem }) {
    this.#button = button;
    this.#choices = choices;
    this.#canvas = canvas;
    this.#sheet = sheet;
    this.#place = place;
    this.#conversation = new Conversation(({ input, digit }, signal) => ask(`${url}?digit=${digit}`, input, signal), {
      onAnswer: (explanation) => this.#paint(explanation),
      onProblem: () => {
        this.#hide();
        onProblem();
      },
    });
    button.addEventListener("click", () => (this.#isShown ? this.#hide() : this.#show()));
    choices.addEventListener("change", () => this.#ask());
  }

  /** What can be explained from now on. */
  about(input, answer) {
    this.#input = input;
    this.#answer = answer;
    this.#button.ariaDisabled = "false";
    if (this.#isShown) this.#show();
  }

  /** Nothing is left to be explained. */
  forget() {
    if (!this.#input) return;
    this.#input = null;
    this.#button.ariaDisabled = "true";
    this.#hide();
  }

  get #isShown() {
    return this.#button.ariaPressed === "true";
  }

  #show() {
    if (!this.#input) return;
    this.#button.ariaPressed = "true";
    this.#choices.hidden = false;
    this.#choices.querySelector(`[value="${this.#answer.digit}"]`).checked = true;
    this.#ask();
  }

  #hide() {
    this.#conversation.cancel();
    this.#button.ariaPressed = "false";
    this.#choices.hidden = true;
    this.#canvas.hidden = true;
    this.#sheet.classList.remove("with-heat");
  }

  #ask() {
    const digit = this.#choices.querySelector(":checked").value;
    this.#conversation.put(() => ({ input: this.#input, digit }));
  }

  async #paint({ heat, box }) {
    const asked = this.#input;
    const place = await this.#place(box);
    if (!place || this.#input !== asked || !this.#isShown) return;
    const cells = document.createElement("canvas");
    cells.width = heat[0].length;
    cells.height = heat.length;
    const style = getComputedStyle(this.#canvas);
    const [spokeFor, spokeAgainst] = [style.color, style.outlineColor];
    const pen = cells.getContext("2d");
    heat.forEach((row, y) => row.forEach((value, x) => {
      pen.fillStyle = value > 0 ? spokeFor : spokeAgainst;
      pen.globalAlpha = Math.abs(value);
      pen.fillRect(x, y, 1, 1);
    }));
    const context = this.#canvas.getContext("2d");
    context.clearRect(0, 0, SIDE, SIDE);
    context.drawImage(cells, ...place.map((share) => share * SIDE));
    this.#canvas.hidden = false;
    this.#sheet.classList.add("with-heat");
  }
}
