// A picture that lies on the sheet in place of a drawing, and where something was found in it.

const COPY_SIDE = 560; // pixels of the longer side of what stays in memory: enough for dense screens

export class Picture {
  #image;
  #outline;
  #file = null;
  #opened = null;

  constructor(image, outline) {
    this.#image = image;
    this.#outline = outline;
  }

  /** The picture's file; null where none lies there, or one that came with the page. */
  get file() {
    return this.#file;
  }

  get isLaid() {
    return this.#image.hasAttribute("src");
  }

  /** Promise of {copy, size}: a small file, and [width, height] of the whole; of null where it does not open. */
  get opened() {
    return this.#opened;
  }

  /** Show a file at once, and soon its small copy: a photograph takes a hundred times the memory. */
  lay(file) {
    this.take();
    this.#file = file;
    this.#show(file);
    this.#opened = this.#open(file);
  }

  /** Draw a line around what lies in the picture of [x, y, width, height], in its pixels; none where no box is given. */
  async mark(box, size) {
    const file = this.#file;
    size ??= (await this.#opened)?.size;
    if (!box || !size || this.#file !== file) return;
    this.#outline.setAttribute("viewBox", `0 0 ${size.join(" ")}`);
    const start = [0, 1].map((i) => Math.max(0, box[i]));
    const end = [0, 1].map((i) => Math.min(size[i], box[i] + box[i + 2]));
    const inside = { x: start[0], y: start[1], width: end[0] - start[0], height: end[1] - start[1] };
    Object.entries(inside).forEach(([name, value]) => this.#outline.firstElementChild.setAttribute(name, value));
    this.#outline.removeAttribute("hidden");
  }

  /** Promise of where [x, y, width, height] of the whole picture are shown, as shares of the sheet's side, or null. */
  async place(box) {
    const opened = await this.#opened;
    if (!opened) return null;
    const { size } = opened;
    const side = this.#image.clientWidth;
    const room = side - 2 * parseFloat(getComputedStyle(this.#image).paddingLeft);
    const scale = room / Math.max(...size);
    const [left, top] = size.map((length) => (side - length * scale) / 2);
    const [x, y, width, height] = box.map((length) => length * scale);
    return [left + x, top + y, width, height].map((length) => length / side);
  }

  /** Take the picture away. */
  take() {
    this.#file = this.#opened = null;
    this.#outline.setAttribute("hidden", "");
    this.#image.hidden = true;
    this.#release();
    this.#image.removeAttribute("src");
  }

  async #open(file) {
    try {
      await this.#image.decode();
      const opened = await shrink(this.#image);
      if (this.#file === file) this.#show(opened.copy);
      return opened;
    } catch {
      // The browser cannot open it; the server may, or says why it cannot.
      if (this.#file === file) this.#image.hidden = true;
      return null;
    }
  }

  #show(file) {
    this.#release();
    this.#image.src = URL.createObjectURL(file);
    this.#image.hidden = false;
  }

  #release() {
    if (this.#image.src.startsWith("blob:")) URL.revokeObjectURL(this.#image.src);
  }
}

/** Promise of {copy, size} of a file that is not shown; of null where it does not open. */
export async function openFile(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return await shrink(image);
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

async function shrink(image) {
  const { naturalWidth, naturalHeight } = image;
  const scale = Math.min(1, COPY_SIDE / Math.max(naturalWidth, naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(naturalHeight * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const copy = await new Promise((resolve) => { canvas.toBlob(resolve, "image/webp", 0.85); });
  return { copy, size: [naturalWidth, naturalHeight] };
}

/** Promise of a file as a data URL. */
export function toDataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

/** The file that a data URL holds. The page's policy does not let fetch() read one. */
export function toFile(url) {
  const [, type, text] = url.match(/^data:([^;,]*);base64,(.*)$/);
  return new File([Uint8Array.from(atob(text), (character) => character.charCodeAt(0))], "picture", { type });
}
