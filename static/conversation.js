// In what order questions go out and answers count.

import { Problem } from "./api.js";

const SLOW = 3_000; // ms after which it is said that the server is slow
const FIRST_PAUSE = 500; // ms before the first attempt after a failure, twice as long before each next one
const LONGEST_PAUSE = 4_000;

/**
 * One question at a time, and the newest next: while one is out, only the last of those asked meanwhile waits.
 * Answers come in the order of their questions, and none after `cancel()`. A question that fails for a passing reason
 * is asked again, unless a newer one has come.
 */
export class Conversation {
  #ask;
  #onAnswer;
  #onProblem;
  #waiting = null;
  #out = null; // AbortController of the question that is out
  #turn = 0; // an answer counts only in the turn in which it was asked for
  #failures = 0;
  #pause = 0; // timer between attempts

  /** `ask(question, signal)` gives an answer or throws a `Problem`; `onAnswer` is told of both, answer and question. */
  constructor(ask, { onAnswer, onProblem }) {
    this.#ask = ask;
    this.#onAnswer = onAnswer;
    this.#onProblem = onProblem;
  }

  /** Ask what `question()` gives when it leaves. */
  put(question) {
    this.#waiting = question;
    if (!this.#pause) this.#next();
  }

  /** Forget every question; their answers will not be heard. */
  cancel() {
    this.#turn += 1;
    this.#out?.abort();
    this.#out = this.#waiting = null;
    this.#endPause();
  }

  /** End the pause after a failure. */
  retryNow() {
    if (!this.#pause) return;
    this.#endPause();
    this.#next();
  }

  async #next() {
    if (this.#out || !this.#waiting) return;
    const asked = this.#waiting;
    const question = asked();
    const turn = this.#turn;
    this.#waiting = null;
    this.#out = new AbortController();
    const slow = setTimeout(() => { if (turn === this.#turn) this.#onProblem(new Problem("slow")); }, SLOW);
    let answer;
    let problem;
    try {
      answer = await this.#ask(question, this.#out.signal);
    } catch (error) {
      problem = error;
    }
    clearTimeout(slow);
    if (turn !== this.#turn) return;
    this.#out = null;
    if (problem) this.#failed(problem, asked);
    else this.#succeeded(answer, question);
    if (!this.#pause) this.#next();
  }

  #succeeded(answer, question) {
    this.#failures = 0;
    this.#onAnswer(answer, question);
  }

  #failed(problem, asked) {
    this.#onProblem(problem);
    if (!problem.passes) return;
    this.#waiting ??= asked;
    const pause = problem.pause || Math.min(FIRST_PAUSE * 2 ** this.#failures, LONGEST_PAUSE);
    this.#failures += 1;
    this.#pause = setTimeout(() => this.retryNow(), pause);
  }

  #endPause() {
    clearTimeout(this.#pause);
    this.#pause = 0;
  }
}
