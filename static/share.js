// What leaves the page: copied text, files to save, and links to a drawing. A link has the drawing in its fragment, which
// browsers do not send to the server.

import { isDrawing } from "./ink.js";

const KEY = "#drawing=";
const NOTICE = 2_000; // ms

/**
 * The address of this page with a drawing.
 * @param {Stroke[]} strokes
 */
export function linkTo(strokes) {
  const text = strokes.map((stroke) => stroke.map(([x, y]) => [Math.round(x), Math.round(y)]).join(",")).join(";");
  return new URL(KEY + text, location.href).href;
}

/** The drawing in the address of this page, which is removed from it; null if there is none. */
export function takeLinkedDrawing() {
  if (!location.hash.startsWith(KEY)) return null;
  const strokes = location.hash
    .slice(KEY.length)
    .split(";")
    .map((stroke) => [...stroke.matchAll(/(-?\d+),(-?\d+)/g)].map(([, x, y]) => [Number(x), Number(y)]));
  window.history.replaceState(null, "", location.pathname + location.search);
  return isDrawing(strokes) ? strokes : null;
}

/**
 * Copy text to the clipboard, and say so, on the button for a moment.
 * @param {HTMLElement} button
 * @param {string} text
 * @param {string} done
 * @param {Announcer} announcer
 */
export async function copy(button, text, done, announcer) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    prompt("", text); // plain http has no clipboard, and Safari refuses it once a click is too long ago
    return;
  }
  announcer.announce(done);
  if (button.textContent === done) return;
  const label = button.textContent;
  button.textContent = done;
  setTimeout(() => {
    button.textContent = label;
  }, NOTICE);
}

/**
 * Offer text as a file to save.
 * @param {string} name
 * @param {string} text
 */
export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
}
