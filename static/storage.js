// JSON values in the browser's storage. If storage is disabled or full, nothing is stored and no error is thrown.

/**
 * @param {"localStorage" | "sessionStorage"} area
 * @param {string} key
 * @returns {unknown} null if there is no such key
 */
export function load(area, key) {
  try {
    return JSON.parse(window[area].getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/**
 * Returns whether the value could be stored.
 * @param {"localStorage" | "sessionStorage"} area
 * @param {string} key
 * @param {unknown} value
 */
export function save(area, key, value) {
  try {
    window[area].setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
