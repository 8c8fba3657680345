// Paints answers into the slots that the server laid out in templates/_answer.html.

const PERCENT = new Intl.NumberFormat(document.documentElement.lang, {
  style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1,
});

export class AnswerView {
  #root;
  #slots;
  #phrases;
  #sure;
  #speech;

  constructor(root, speech) {
    this.#root = root;
    this.#slots = Object.fromEntries([...root.querySelectorAll("[data-slot]")].map((node) => [node.dataset.slot, node]));
    this.#phrases = JSON.parse(root.dataset.phrases);
    this.#sure = Number(root.dataset.sure);
    this.#speech = speech;
  }

  /** What is said of an answer or a `Problem`: {state, numeral, words, note}. */
  describe(outcome) {
    if (outcome instanceof Error) return this.#describeProblem(outcome);
    const [first, second] = outcome.top;
    const state = !outcome.is_digit ? "foreign" : first.confidence >= this.#sure ? "sure" : "unsure";
    const numeral = outcome.is_digit ? String(first.digit) : "?";
    return this.#describe(state, numeral, {
      digit: first.digit,
      percent: percent(first.confidence),
      other: second.digit,
      other_percent: percent(second.confidence),
    });
  }

  /** Show a prediction. */
  show(answer) {
    this.#say(this.describe(answer));
    [...this.#slots.top.children].forEach((row, place) => {
      row.querySelector(".digit").textContent = answer.top[place].digit;
      fill(row, "width", answer.top[place].confidence);
    });
    this.#columns().forEach((row, digit) => fill(row, "height", answer.probabilities[digit]));
    this.#slots.frame.src = answer.frame;
    this.#slots.frame.hidden = false;
    this.#slots.elapsed.textContent = ` · ${answer.elapsed_ms.toFixed(1)} ms`;
  }

  /** Show that there is no answer, in one of the page's phrases; the last answer's bars go. */
  showState(name) {
    this.#say(this.#describe(name, "–"));
    this.#empty();
  }

  /** Show why there is no answer. Where the trouble passes, the last answer's bars stay. */
  showProblem(problem) {
    this.#say(this.describe(problem));
    if (!problem.passes) this.#empty();
  }

  #describeProblem({ name, title, message, pause }) {
    if (!(name in this.#phrases)) return { state: "trouble", numeral: "!", words: title, note: message };
    return { ...this.#describe(name, "!", { seconds: Math.ceil(pause / 1000) }), state: "trouble" };
  }

  #describe(state, numeral, values = {}) {
    const [words, note] = this.#phrases[state].map((text) => text.replace(/\{(\w+)\}/g, (_, key) => values[key]));
    return { state, numeral, words, note };
  }

  #say({ state, numeral, words, note }) {
    this.#root.dataset.state = state;
    this.#slots.numeral.textContent = numeral;
    this.#slots.words.textContent = words;
    this.#slots.note.textContent = note;
    this.#speech.sayOnceSettled(`${words}. ${note}`);
  }

  #empty() {
    for (const row of this.#slots.top.children) {
      row.querySelector(".digit").textContent = "–";
      fill(row, "width", null);
    }
    this.#columns().forEach((row) => fill(row, "height", null));
    this.#slots.frame.hidden = true;
    this.#slots.elapsed.textContent = "";
  }

  #columns() {
    return [...this.#slots.all.tBodies[0].rows];
  }
}

function fill(row, direction, share) {
  row.querySelector(".bar-fill").setAttribute(direction, `${100 * (share ?? 0)}%`);
  row.querySelector(".percent").textContent = share === null ? "–" : percent(share);
}

// No answer is certain, so none is shown as 100%. The filter `percent` in web/pages.py says the same.
function percent(share) {
  if (share > 0.999) return `>${PERCENT.format(0.999)}`;
  if (share < 0.001) return `<${PERCENT.format(0.001)}`;
  return PERCENT.format(share);
}
