// One request at a time, the newest next.

import { ApiError } from "./api.js";

const SLOW = 3_000; // ms after which the server is reported to be slow
const RETRY = 500; // ms before the first retry, doubled for each further one
const MAX_RETRY = 4_000;

/**
 * Sends one request at a time; meanwhile, only the newest one waits. Responses arrive in order, and none
 * after `cancel()`. After a transient error the request is sent again, unless a newer one is waiting.
 * @template Request, Response
 */
export class RequestQueue {
  #send;
  #onResponse;
  #onError;
  /** @type {Request | null} */
  #waiting = null;
  /** @type {AbortController | null} */
  #inFlight = null;
  #generation = 0; // `cancel()` starts a new one; responses to requests of an older one are stale
  #failures = 0;
  #retryTimer = 0;

  /**
   * @param {(request: Request, signal: AbortSignal) => Promise<Response>} send may throw `ApiError`
   * @param {{ onResponse: (response: Response, request: Request) => void, onError: (error: ApiError) => void }} handlers
   */
  constructor(send, { onResponse, onError }) {
    this.#send = send;
    this.#onResponse = onResponse;
    this.#onError = onError;
  }

  /** Whether a response is awaited. */
  get isBusy() {
    return this.#inFlight !== null || this.#waiting !== null;
  }

  /** @param {Request} request */
  put(request) {
    this.#waiting = request;
    if (!this.#retryTimer) this.#next();
  }

  /** Drop every request, and the response to the one in flight. */
  cancel() {
    this.#generation += 1;
    this.#inFlight?.abort();
    this.#inFlight = this.#waiting = null;
    this.#stopRetryTimer();
  }

  /** Retry now if a retry is scheduled. */
  retryNow() {
    if (!this.#retryTimer) return;
    this.#stopRetryTimer();
    this.#next();
  }

  async #next() {
    if (this.#inFlight || this.#waiting === null) return;
    const request = this.#waiting;
    const generation = this.#generation;
    const isStale = () => generation !== this.#generation;
    this.#waiting = null;
    this.#inFlight = new AbortController();
    const slowTimer = setTimeout(() => {
      if (!isStale()) this.#onError(new ApiError("slow"));
    }, SLOW);
    const outcome = await this.#send(request, this.#inFlight.signal).catch((error) => {
      if (error instanceof ApiError) return error;
      throw error;
    });
    clearTimeout(slowTimer);
    if (isStale()) return;
    this.#inFlight = null;
    if (outcome instanceof ApiError) {
      this.#onError(outcome);
      if (outcome.isTransient && !isStale()) this.#scheduleRetry(request, outcome.retryAfter);
    } else {
      this.#failures = 0;
      this.#onResponse(outcome, request);
    }
    if (!this.#retryTimer) this.#next();
  }

  /**
   * @param {Request} request
   * @param {number} delay in ms; 0 where the server asks for none
   */
  #scheduleRetry(request, delay) {
    this.#waiting ??= request;
    delay ||= Math.min(RETRY * 2 ** this.#failures, MAX_RETRY);
    this.#failures += 1;
    this.#retryTimer = setTimeout(() => this.retryNow(), delay);
  }

  #stopRetryTimer() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
  }
}
