// Requests: what is asked, and how it fails.

const PATIENCE = 10_000; // ms for an answer to strokes
const PICTURE_PATIENCE = 120_000; // ms: a photograph takes its time on a telephone line

/** Why there is no answer. `name` is a phrase of the page, or "refused" where the server's own words say it best. */
export class Problem extends Error {
  constructor(name, { title, detail, retryAfter } = {}) {
    super(detail);
    this.name = name;
    this.title = title;
    this.pause = retryAfter ? 1000 * retryAfter : 0; // ms that the server asks to be left alone
    this.passes = ["offline", "slow", "busy", "limited", "unexplained"].includes(name); // trying again later may help
  }
}

/** Ask `url` about strokes or a File. Throws `Problem`. */
export async function ask(url, input, signal) {
  const isFile = input instanceof Blob;
  const body = isFile ? new FormData() : JSON.stringify({ strokes: input });
  if (isFile) body.append("image", input, input.name || "picture");
  const headers = isFile ? {} : { "Content-Type": "application/json" };
  const request = new AbortController();
  const stop = () => request.abort();
  const timer = setTimeout(stop, isFile ? PICTURE_PATIENCE : PATIENCE);
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
  const retryAfter = Number(headers.get("Retry-After"));
  if (status === 429) return new Problem("limited", { retryAfter });
  if ([502, 503, 504].includes(status)) return new Problem("busy", { retryAfter });
  if (status >= 500) return new Problem("internal");
  // A proxy in front may have refused it, in its own words.
  const { title, detail } = await response.json().catch(() => ({}));
  if (title) return new Problem("refused", { title, detail });
  return new Problem(status === 413 ? "heavy" : "internal");
}
