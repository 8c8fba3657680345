// Reads what is on the sheet, and keeps the answer to it.

import { ApiError, post } from "./api.js";
import { RequestQueue } from "./request-queue.js";

export class Reader {
  #url;
  #maxBytes;
  #subject;
  #queue;
  /** @type {ReadInput | null} The latest answer. */
  #latest = null;

  /**
   * @param {string} url
   * @param {number} maxBytes the largest picture that the server takes
   * @param {() => Input} subject returns what is on the sheet
   * @param {{
   *   onAnswer: (answer: ReadInput) => void,
   *   onReplay: (prediction: Prediction) => void,
   *   onError: (error: ApiError) => void,
   * }} handlers
   */
  constructor(url, maxBytes, subject, { onAnswer, onReplay, onError }) {
    this.#url = url;
    this.#maxBytes = maxBytes;
    this.#subject = subject;
    /** @type {RequestQueue<{ input: Input, isReplay?: boolean }, Prediction>} */
    this.#queue = new RequestQueue(({ input }, signal) => this.predict(input, signal), {
      onResponse: (prediction, { input, isReplay }) =>
        isReplay ? onReplay(prediction) : onAnswer({ input, prediction }),
      onError,
    });
  }

  /** The answer to what is on the sheet, unless a newer one is awaited. */
  get answer() {
    return !this.#queue.isBusy && this.#latest?.input === this.#subject() ? this.#latest : null;
  }

  /**
   * Make this the latest answer; null if there is none. Returns whether its input is new.
   * @param {ReadInput | null} answer
   */
  keep(answer) {
    const isNew = this.#latest?.input !== answer?.input;
    this.#latest = answer;
    return isNew;
  }

  /** Read what is on the sheet, after what is being read. */
  read() {
    this.#queue.put({ input: this.#subject() });
  }

  /** @param {Stroke[]} strokes a part of a drawing, whose prediction is no answer */
  replay(strokes) {
    this.#queue.put({ input: strokes, isReplay: true });
  }

  cancel() {
    this.#queue.cancel();
  }

  retryNow() {
    this.#queue.retryNow();
  }

  /**
   * @param {Input} input
   * @param {AbortSignal} signal
   * @returns {Promise<Prediction>}
   */
  async predict(input, signal) {
    if (this.isTooLarge(input)) throw new ApiError("too_large");
    const reading = await post(this.#url, input, signal);
    return { ...reading.digits?.[0], ...reading };
  }

  /** @param {Input} input */
  isTooLarge(input) {
    return input instanceof Blob && input.size > this.#maxBytes;
  }
}
