// Requests: what is asked, how it fails, and in what order answers may arrive.

const TIMEOUT = 10_000; // ms
const LONGEST_PAUSE = 4_000; // ms between attempts while the server is away

/** Why there is no answer. `name` is a phrase of the page, or "refused" where the server's own words say it best. */
export class Problem extends Error {
  constructor(name, { title, detail, retryAfter } = {}) {
    super(detail);
    this.name = name;
    this.title = title;
    this.pause = retryAfter ? 1000 * retryAfter : 0;
    this.passes = ["offline", "slow", "busy"].includes(name); // trying again later may help
  }
}

/** Ask for a prediction of strokes or of a File. Throws `Problem`. */
export async function predict(url, input, signal) {
  const isFile = input instanceof Blob;
  const body = isFile ? new FormData() : JSON.stringify({ strokes: input });
  if (isFile) body.append("image", input, input.name || "picture");
  const headers = isFile ? {} : { "Content-Type": "application/json" };
  const request = new AbortController();
  const stop = () => request.abort();
  const timer = setTimeout(stop, TIMEOUT);
  signal.addEventListener("abort", stop);
  try {
    const response = await fetch(url, { method: "POST", body, headers, signal: request.signal });
    if (!response.ok) throw await refusal(response);
    return await response.json();
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(request.signal.aborted ? "slow" : "offline");
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

async function refusal(response) {
  const { status, headers } = response;
  if (status === 503 || status === 429 || status === 502 || status === 504) {
    return new Problem("busy", { retryAfter: Number(headers.get("Retry-After")) });
  }
  if (status >= 500) return new Problem("internal");
  // A proxy in front may have refused it, in its own words.
  const { title, detail } = await response.json().catch(() => ({}));
  return new Problem(title ? "refused" : "internal", { title, detail });
}

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
  #timer = 0;

  constructor(ask, { onAnswer, onProblem }) {
    this.#ask = ask;
    this.#onAnswer = onAnswer;
    this.#onProblem = onProblem;
  }

  /** Ask about what `input()` gives when the question leaves. */
  put(input) {
    this.#waiting = input;
    if (!this.#timer) this.#next();
  }

  /** Forget every question; their answers will not be heard. */
  cancel() {
    this.#turn += 1;
    this.#out?.abort();
    this.#out = this.#waiting = null;
    this.#stopPause();
  }

  /** End the pause after a failure. */
  retryNow() {
    if (!this.#timer) return;
    this.#stopPause();
    this.#next();
  }

  async #next() {
    if (this.#out || !this.#waiting) return;
    const input = this.#waiting;
    const turn = this.#turn;
    this.#waiting = null;
    this.#out = new AbortController();
    let answer;
    let problem;
    try {
      answer = await this.#ask(input(), this.#out.signal);
    } catch (error) {
      problem = error;
    }
    if (turn !== this.#turn) return;
    this.#out = null;
    if (problem) this.#failed(problem, input);
    else this.#succeeded(answer);
    if (!this.#timer) this.#next();
  }

  #succeeded(answer) {
    this.#failures = 0;
    this.#onAnswer(answer);
  }

  #failed(problem, input) {
    this.#onProblem(problem);
    if (!problem.passes) return;
    this.#waiting ??= input;
    const pause = problem.pause || Math.min(500 * 2 ** this.#failures, LONGEST_PAUSE);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.retryNow(), pause);
  }

  #stopPause() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }
}
