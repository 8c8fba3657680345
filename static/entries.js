// What the history and the corrections keep of an input: its strokes, or a small copy of the picture as a data URL.

import { isDrawing } from "./ink.js";

/**
 * Null if the browser cannot open the picture.
 * @param {Input} input
 * @param {Promise<LoadedPicture | null>} loading the picture
 * @returns {Promise<Subject | null>}
 */
export async function toSubject(input, loading) {
  if (!(input instanceof Blob)) return { strokes: input };
  const loaded = await loading;
  return loaded && { picture: await toDataUrl(loaded.copy), size: loaded.size };
}

/**
 * What an entry was made of. The boxes of its prediction are in pixels of the original picture.
 * @param {HistoryEntry} entry
 * @returns {ReadInput}
 */
export function fromEntry(entry) {
  const { prediction } = entry;
  if ("strokes" in entry) return { input: entry.strokes, prediction };
  return { input: fromDataUrl(entry.picture), prediction: { size: entry.size, ...prediction } };
}

/**
 * Whether an untrusted value can be shown again.
 * @param {any} value
 * @returns {value is HistoryEntry}
 */
export function isEntry(value) {
  const { strokes, picture, prediction } = value ?? {};
  const isPicture = typeof picture === "string" && picture.startsWith("data:image/");
  return prediction?.top?.length === 3 && prediction.probabilities?.length === 10 && (isPicture || isDrawing(strokes));
}

/** @param {any} entry */
export const subjectKey = ({ strokes, picture }) => JSON.stringify([strokes, picture]);

/**
 * @param {Blob} file
 * @returns {Promise<string>}
 */
function toDataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

/**
 * The content of a base64 data URL, which fetch() cannot read under the page's content security policy.
 * @param {string} url
 */
function fromDataUrl(url) {
  const [head, text] = url.split(",");
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: head.slice("data:".length, head.indexOf(";")) });
}
