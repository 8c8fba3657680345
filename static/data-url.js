// Pictures as data URLs, in which the browser's storage keeps them.

/**
 * @param {Blob} file
 * @returns {Promise<string>}
 */
export function toDataUrl(file) {
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
export function fromDataUrl(url) {
  const [head, text] = url.split(",");
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: head.slice("data:".length, head.indexOf(";")) });
}
