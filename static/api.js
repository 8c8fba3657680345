// Requests to the API, and their errors.

import { toApiStrokes } from "./ink.js";

const TIMEOUT = 10_000; // ms
const UPLOAD_TIMEOUT = 120_000; // ms: a photograph takes a while over a slow connection
const TRANSIENT = ["offline", "slow", "busy", "rate_limited", "no_explanation"];

/** A failed request. `code` is a key of the phrases in _phrases.html, or "refused", with the server's own message. */
export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {{ title?: string, detail?: string, retryAfter?: number }} [details] `retryAfter` is in seconds
   */
  constructor(code, { title = "", detail = "", retryAfter = 0 } = {}) {
    super(detail);
    this.code = code;
    this.title = title;
    this.retryAfter = 1000 * retryAfter; // ms
    this.isTransient = TRANSIENT.includes(code);
  }
}

/**
 * Post strokes or a picture. Throws `ApiError`.
 * @param {string} url
 * @param {Input} input
 * @param {AbortSignal} signal
 */
export async function post(url, input, signal) {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), input instanceof Blob ? UPLOAD_TIMEOUT : TIMEOUT);
  try {
    const request = { method: "POST", ...encode(input), signal: AbortSignal.any([signal, timeout.signal]) };
    const response = await fetch(url, request);
    if (!response.ok) throw await toError(response);
    return await response.json();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (timeout.signal.aborted) throw new ApiError("slow");
    throw new ApiError((await canBeRead(input)) ? "offline" : "unreadable");
  } finally {
    clearTimeout(timer);
  }
}

/**
 * False for a folder, and for a file that was deleted after it was chosen.
 * @param {Input} input
 */
async function canBeRead(input) {
  try {
    if (input instanceof Blob) await input.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** @param {Input} input */
function encode(input) {
  if (!(input instanceof Blob)) {
    const body = JSON.stringify({ strokes: toApiStrokes(input) });
    return { body, headers: { "Content-Type": "application/json" } };
  }
  const body = new FormData();
  body.append("image", input, input instanceof File ? input.name : "picture");
  return { body };
}

/** @param {Response} response */
async function toError(response) {
  const { status, headers } = response;
  const retryAfter = Number(headers.get("Retry-After"));
  if (status === 429) return new ApiError("rate_limited", { retryAfter });
  if ([502, 503, 504].includes(status)) return new ApiError("busy", { retryAfter });
  if (status >= 500) return new ApiError("server_error");
  // A proxy may have refused the request with an HTML page.
  const { title, detail } = await response.json().catch(() => ({}));
  if (title) return new ApiError("refused", { title, detail });
  return new ApiError(status === 413 ? "too_large" : "server_error");
}
