// Several pictures at once: a list that fills with answers, one after the other.

import { card, pictureThumbnail } from "./cards.js";
import { Conversation } from "./conversation.js";

export class Several {
  #list;
  #ask;
  #describe;
  #open;
  #note;
  #asked = null; // the conversation that is going on
  #urls = []; // of the thumbnails

  /**
   * `ask(file, signal)` gives an answer or throws a `Problem`, `describe` words either, `open(file, answer or problem)`
   * shows one of them in full, `note(file, answer)` is told of each answer.
   */
  constructor(list, { ask, describe, open, note }) {
    this.#list = list;
    this.#ask = ask;
    this.#describe = describe;
    this.#open = open;
    this.#note = note;
  }

  /** Read files one after the other, and open the first of them. */
  async read(files) {
    this.clear();
    const rows = files.map((file) => this.#row(file));
    this.#list.replaceChildren(...rows.map(({ item }) => item));
    this.#list.hidden = false;
    for (const row of rows) {
      if (!this.#list.contains(row.item)) return;
      await this.#readOne(row);
      if (row === rows[0] && this.#list.contains(row.item)) this.#open(row.file, row.outcome);
    }
  }

  /** Take the list away; what is still being read is not waited for. */
  clear() {
    this.#asked?.cancel();
    this.#urls.forEach((url) => URL.revokeObjectURL(url));
    this.#urls = [];
    this.#list.replaceChildren();
    this.#list.hidden = true;
  }

  #row(file) {
    const url = URL.createObjectURL(file);
    this.#urls.push(url);
    const row = { file, outcome: null };
    row.item = card(pictureThumbnail(url), file.name, null, () => { if (row.outcome) this.#open(file, row.outcome); });
    row.words = document.createElement("strong");
    row.words.textContent = "…";
    row.item.firstElementChild.append(row.words);
    return row;
  }

  /** Resolves once there is an answer, or a problem that does not pass. */
  #readOne(row) {
    return new Promise((resolve) => {
      const tell = (outcome) => {
        row.outcome = outcome;
        row.words.textContent = this.#describe(outcome).words;
      };
      this.#asked = new Conversation((file, signal) => this.#ask(file, signal), {
        onAnswer: (answer) => { tell(answer); this.#note(row.file, answer); resolve(); },
        onProblem: (problem) => { tell(problem); if (!problem.passes) resolve(); },
      });
      this.#asked.put(() => row.file);
    });
  }
}
