// Paints answers into the slots that the server laid out in templates/_answer.html.

const SETTLED = 700; // ms without change before an answer is read out
const PERCENT = new Intl.NumberFormat(document.documentElement.lang, {
  style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1,
});

export class AnswerView {
  #root;
  #slots;
  #phrases;
  #sure;
  #timer = 0;

  constructor(root) {
    this.#root = root;
    this.#slots = Object.fromEntries([...root.querySelectorAll("[data-slot]")].map((node) => [node.dataset.slot, node]));
    this.#phrases = JSON.parse(root.dataset.phrases);
    this.#sure = Number(root.dataset.sure);
  }

  /** Show a prediction. */
  show(answer) {
    const [first, second] = answer.top;
    const state = !answer.is_digit ? "foreign" : first.confidence >= this.#sure ? "sure" : "unsure";
    this.#say(state, this.#phrase(state, {
      digit: first.digit,
      percent: percent(first.confidence),
      other: second.digit,
      other_percent: percent(second.confidence),
    }), state === "foreign" ? "?" : String(first.digit));
    [...this.#slots.top.children].forEach((row, place) => {
      row.querySelector(".digit").textContent = answer.top[place].digit;
      fill(row, answer.top[place].confidence);
    });
    this.#allRows().forEach((row, digit) => fill(row, answer.probabilities[digit]));
    this.#slots.frame.src = answer.frame;
    this.#slots.frame.hidden = false;
    this.#slots.elapsed.textContent = ` · ${answer.elapsed_ms.toFixed(1)} ms`;
  }

  /** Show that there is no answer, in one of the page's phrases; the last answer's bars go. */
  showState(name, values = {}) {
    this.#say(name, this.#phrase(name, values), "–");
    this.#empty();
  }

  /** Show why there is no answer. Where the trouble passes, the last answer's bars stay. */
  showProblem(problem) {
    const phrase = this.#phrases[problem.name] ?? [problem.title, problem.message];
    this.#say("trouble", phrase, "!");
    if (!problem.passes) this.#empty();
  }

  #phrase(name, values) {
    return this.#phrases[name].map((text) => text.replace(/\{(\w+)\}/g, (_, key) => values[key]));
  }

  #say(state, [words, note], numeral) {
    this.#root.dataset.state = state;
    this.#slots.numeral.textContent = numeral;
    this.#slots.words.textContent = words;
    this.#slots.note.textContent = note;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => { this.#slots.spoken.textContent = `${words}. ${note}`; }, SETTLED);
  }

  #empty() {
    for (const row of this.#slots.top.children) {
      row.querySelector(".digit").textContent = "–";
      fill(row, null);
    }
    this.#allRows().forEach((row) => fill(row, null));
    this.#slots.frame.hidden = true;
    this.#slots.elapsed.textContent = "";
  }

  #allRows() {
    return [...this.#slots.all.tBodies[0].rows];
  }
}

function fill(row, share) {
  row.querySelector(".bar-fill").setAttribute("width", `${100 * (share ?? 0)}%`);
  row.querySelector(".percent").textContent = share === null ? "–" : percent(share);
}

// No answer is certain, so none is shown as 100%. The filter `percent` in web/pages.py says the same.
function percent(share) {
  if (share > 0.999) return `>${PERCENT.format(0.999)}`;
  if (share < 0.001) return `<${PERCENT.format(0.001)}`;
  return PERCENT.format(share);
}
