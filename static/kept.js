// What the browser keeps: the history, and the corrections.

import { Corrections } from "./corrections.js";
import { element } from "./elements.js";
import { History } from "./history.js";

export class Kept {
  history;
  corrections;

  /**
   * @param {Record<string, string>} texts
   * @param {(prediction: Prediction) => Answer} describe
   * @param {(read: ReadInput) => void} open
   */
  constructor(texts, describe, open) {
    this.history = new History(element("history", HTMLElement), texts.open_again, describe, open);
    this.corrections = new Corrections(element("corrections", HTMLElement), texts, open);
  }
}
