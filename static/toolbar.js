// The buttons below the sheet and the answer, and the shortcuts of some.

import { element } from "./elements.js";

export class Toolbar {
  /** @type {Record<string, HTMLButtonElement>} */
  buttons;
  #actions;

  /** @param {Record<string, () => void>} actions by the ids of their buttons */
  constructor(actions) {
    this.#actions = actions;
    this.buttons = Object.fromEntries(Object.keys(actions).map((id) => [id, element(id, HTMLButtonElement)]));
    for (const [id, button] of Object.entries(this.buttons)) button.addEventListener("click", () => this.#run(id));
    addEventListener("keydown", (event) => this.#onKeyDown(event));
  }

  /** @param {Record<string, boolean>} states whether each of some buttons does anything now, by id */
  enable(states) {
    for (const [id, isEnabled] of Object.entries(states)) this.buttons[id].ariaDisabled = String(!isEnabled);
  }

  /** @param {string} id */
  #run(id) {
    if (this.buttons[id].ariaDisabled !== "true") this.#actions[id]();
  }

  /** @param {KeyboardEvent} event */
  #onKeyDown(event) {
    const key = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    if (event.target instanceof HTMLInputElement && event.target.type === "text") return; // it has an undo of its own
    if (key === "z") this.#run(event.shiftKey ? "redo" : "undo");
    else if (key === "y") this.#run("redo");
    else return;
    event.preventDefault();
  }
}
