// Shows answers in the slots of templates/_answer.html.

import { ApiError } from "./api.js";

const LANGUAGE = document.documentElement.lang;
const MILLISECONDS = new Intl.NumberFormat(LANGUAGE, { style: "unit", unit: "millisecond", maximumFractionDigits: 1 });
const PERCENT = [0, 1].map(
  (places) => new Intl.NumberFormat(LANGUAGE, { style: "percent", minimumFractionDigits: places }),
);

export class AnswerView {
  #root;
  #announcer;
  /** @type {Record<string, HTMLElement>} */
  #slots = {};
  #frame;
  #topRows;
  #allRows;
  /** @type {ReadDigit[]} of the number that is shown */
  #digits = [];
  #place = 0; // of the digit whose details are shown
  /** @type {Record<string, [words: string, note: string]>} */
  #phrases;
  #sureFrom;

  /**
   * @param {HTMLElement} root
   * @param {Announcer} announcer
   * @param {() => void} onChoice called when another digit is chosen
   */
  constructor(root, announcer, onChoice) {
    this.#root = root;
    this.#announcer = announcer;
    for (const name of ["numeral", "words", "note", "elapsed", "digits", "alternatives"])
      this.#slots[name] = /** @type {HTMLElement} */ (root.querySelector(`[data-slot=${name}]`));
    this.#frame = /** @type {HTMLImageElement} */ (root.querySelector("[data-slot=frame]"));
    this.#topRows = root.querySelectorAll("[data-slot=top] li");
    this.#allRows = root.querySelectorAll("[data-slot=all] tbody tr");
    this.#slots.digits.addEventListener("change", ({ target }) => {
      this.#showDigit(Number(/** @type {HTMLInputElement} */ (target).value));
      onChoice();
    });
    this.#phrases = JSON.parse(root.dataset.phrases ?? "");
    this.#sureFrom = Number(root.dataset.sureFrom);
  }

  /**
   * The phrase for a prediction or an error.
   * @param {Prediction | ApiError} outcome
   * @param {boolean} [isUnfinished] it is not reported as a non-digit
   * @returns {Answer}
   */
  describe(outcome, isUnfinished = false) {
    if (outcome instanceof ApiError) return this.#describeError(outcome);
    if (isNumber(outcome)) return this.#describeNumber(outcome);
    const [first, second] = outcome.top;
    const values = {
      digit: first.digit,
      percent: percent(first.confidence),
      other: second.digit,
      other_percent: percent(second.confidence),
    };
    if (!outcome.is_digit) return isUnfinished ? this.#phrase("writing", "…") : this.#phrase("not_digit", "?", values);
    const state = first.confidence >= this.#sureFrom ? "sure" : "unsure";
    const key = state === "sure" && first.digit === 8 ? "sure_an" : state; // English says "a 7", but "an 8"
    return { ...this.#phrase(key, String(first.digit), values), state };
  }

  /**
   * @param {Prediction} prediction
   * @param {boolean} [isUnfinished]
   */
  showPrediction(prediction, isUnfinished) {
    this.#show(this.describe(prediction, isUnfinished));
    const digits = isNumber(prediction) ? prediction.digits : [prediction];
    const text = (/** @type {{digit: number}[]} */ all) => all.map(({ digit }) => digit).join("");
    // A later answer with the same digits keeps the chosen one, and the focus.
    const isSame = text(digits) === text(this.#digits);
    this.#digits = digits;
    this.#slots.digits.hidden = digits.length === 1;
    if (!isSame) this.#slots.digits.replaceChildren(...digits.map(({ digit }, place) => choice("place", place, digit)));
    this.#showDigit(isSame ? this.#place : 0);
    const others = isNumber(prediction) ? prediction.alternatives : [];
    this.#slots.alternatives.replaceChildren(...others.map((other) => new Option("", toLine(other.text))));
    this.#slots.elapsed.textContent = ` · ${MILLISECONDS.format(prediction.elapsed_ms)}`;
  }

  /** The place of the digit that is shown. */
  get place() {
    return this.#place;
  }

  /**
   * Show the details of a digit of the number.
   * @param {number} place
   */
  #showDigit(place) {
    this.#place = place;
    const { top, probabilities, frame } = this.#digits[place];
    for (const [i, row] of this.#topRows.entries()) {
      setText(row.querySelector(".digit"), top[i].digit);
      setBar(row, "width", top[i].confidence);
    }
    for (const [digit, row] of this.#allRows.entries()) setBar(row, "height", probabilities[digit]);
    this.#frame.src = frame;
    this.#frame.hidden = false;
    /** @type {HTMLInputElement} */ (this.#slots.digits.querySelectorAll("input")[place]).checked = true;
  }

  /**
   * @param {Reading} reading
   * @returns {Answer}
   */
  #describeNumber({ text, truncated, confidence, alternatives }) {
    const [other] = alternatives;
    const shown = truncated ? `${text}…` : text;
    const values = {
      text: toLine(shown, ", "),
      percent: percent(confidence),
      other: toLine(other?.text ?? "", ", "),
      other_percent: percent(other?.confidence ?? 0),
    };
    const state = confidence >= this.#sureFrom || !other ? "sure" : "unsure";
    const key = state === "unsure" && confidence < 0.5 ? "doubtful" : state;
    return { ...this.#phrase(`${key}_number`, shown, values), state };
  }

  /**
   * Show one of the phrases in place of an answer.
   * @param {string} state
   */
  showState(state) {
    this.#show(this.#phrase(state, "–"));
    this.#clear();
  }

  /**
   * Show an error. The bars of the last answer stay if the error is transient.
   * @param {ApiError} error
   */
  showError(error) {
    this.#show(this.#describeError(error));
    if (!error.isTransient) this.#clear();
  }

  /**
   * @param {ApiError} error
   * @returns {Answer}
   */
  #describeError({ code, title, message, retryAfter }) {
    const known = code in this.#phrases;
    const phrase = known && this.#phrase(code, "!", { seconds: Math.ceil(retryAfter / 1000) || 1 });
    return { ...(phrase || { numeral: "!", words: title, note: message }), state: "error" };
  }

  /**
   * @param {string} state
   * @param {string} numeral
   * @param {Record<string, string | number>} [values] for the placeholders of the phrase
   */
  #phrase(state, numeral, values = {}) {
    const [words, note] = this.#phrases[state].map((text) => fill(text, values));
    return { state, numeral, words, note };
  }

  /** @param {Answer} answer */
  #show({ state, numeral, words, note }) {
    this.#root.dataset.state = state;
    this.#slots.numeral.classList.toggle("is-number", numeral.length > 1);
    setText(this.#slots.numeral, numeral);
    setText(this.#slots.words, words);
    setText(this.#slots.note, note);
    this.#announcer.announceWhenSettled(`${words}. ${note}`);
  }

  #clear() {
    this.#digits = [];
    this.#slots.digits.hidden = true;
    for (const row of this.#topRows) {
      setText(row.querySelector(".digit"), "–");
      setBar(row, "width", null);
    }
    for (const row of this.#allRows) setBar(row, "height", null);
    this.#frame.hidden = true;
    this.#slots.elapsed.textContent = "";
  }
}

/**
 * Whether a prediction is of several digits.
 * @param {Prediction} prediction
 * @returns {prediction is Prediction & Reading}
 */
export function isNumber(prediction) {
  return (prediction.digits?.length ?? 0) > 1;
}

/**
 * The lines of a number on one line.
 * @param {string} text
 * @param {string} [separator]
 */
export const toLine = (text, separator = " ") => text.replaceAll("\n", separator);

/**
 * A radio button with a label.
 * @param {string} name
 * @param {number} value
 * @param {number} text
 */
export function choice(name, value, text) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  const span = document.createElement("span");
  Object.assign(input, { type: "radio", name, value });
  span.textContent = String(text);
  label.append(input, span);
  return label;
}

/**
 * Fill the placeholders of a phrase.
 * @param {string} text
 * @param {Record<string, string | number>} values
 */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/**
 * Set a text, unless it is the same.
 * @param {Element | null} element
 * @param {string | number} text
 */
function setText(element, text) {
  if (element && element.textContent !== String(text)) element.textContent = String(text);
}

/**
 * @param {Element} row
 * @param {"width" | "height"} direction
 * @param {number | null} share 0 to 1; null where there is no answer
 */
function setBar(row, direction, share) {
  row.querySelector("rect")?.setAttribute(direction, `${100 * (share ?? 0)}%`);
  setText(row.querySelector(".percent"), share === null ? "–" : percent(share, direction === "width" ? 1 : 0));
}

/**
 * Never 100 % or 0 %: no prediction is certain. Like the filter `percent` in web/pages.py.
 * @param {number} share
 * @param {0 | 1} [places]
 */
function percent(share, places = 1) {
  const least = 10 ** -(places + 2);
  if (share > 1 - least) return `>${PERCENT[places].format(1 - least)}`;
  if (share < least) return `<${PERCENT[places].format(least)}`;
  return PERCENT[places].format(share);
}
