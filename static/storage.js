// What the browser remembers. It may refuse to: then nothing is kept, and nothing else fails.

/** The value under `name` in `area`, "localStorage" or "sessionStorage"; null if there is none. */
export function recall(area, name) {
  try {
    return JSON.parse(window[area].getItem(name));
  } catch {
    return null;
  }
}

/** Keep `value` under `name`. Says whether there was room. */
export function remember(area, name, value) {
  try {
    window[area].setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
