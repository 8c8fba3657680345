// Shows a picture on the sheet, with an outline around the digit that was found in it.

const COPY_SIDE = 560; // pixels of the longer side of the copy that stays in memory: enough for dense screens

export class Picture {
  #image;
  #outline;
  /** @type {Blob | null} */
  #file = null;
  /** @type {Promise<LoadedPicture | null>} */
  #loaded = Promise.resolve(null);

  /**
   * @param {HTMLImageElement} image
   * @param {SVGElement} outline
   */
  constructor(image, outline) {
    this.#image = image;
    this.#outline = outline;
  }

  /** The file that is shown; null if there is none, or if the server rendered the page with a picture. */
  get file() {
    return this.#file;
  }

  get isShown() {
    return this.#image.hasAttribute("src");
  }

  /** Null if the browser cannot open the file. */
  get loaded() {
    return this.#loaded;
  }

  /**
   * Show a file, then replace it with a small copy: a photograph takes a hundred times the memory.
   * @param {Blob} file
   */
  show(file) {
    this.remove();
    this.#file = file;
    this.#setSource(file);
    this.#loaded = toCopy(this.#image);
    this.#loaded.then((loaded) => {
      if (this.#file !== file) return;
      if (loaded) this.#setSource(loaded.copy);
      else this.#image.hidden = true; // the server may be able to open it, or returns an error
    });
  }

  /**
   * Outline the digits that were found.
   * @param {Prediction} prediction
   */
  async outline({ digits, box, size: original }) {
    const file = this.#file;
    const size = original ?? (await this.#loaded)?.size;
    const boxes = digits?.map((digit) => digit.box) ?? [box];
    if (!size || this.#file !== file) return;
    this.#outline.setAttribute("viewBox", `0 0 ${size.join(" ")}`);
    const clip = (/** @type {number} */ value, /** @type {number} */ end) => Math.min(end, Math.max(0, value));
    const paths = boxes.map((box) => {
      if (!box) return "";
      const [x, y, width, height] = box;
      const [left, right] = [x, x + width].map((value) => clip(value, size[0]));
      const [top, bottom] = [y, y + height].map((value) => clip(value, size[1]));
      return `M${left} ${top}H${right}V${bottom}H${left}Z`;
    });
    this.#outline.firstElementChild?.setAttribute("d", paths.join(""));
    this.#outline.removeAttribute("hidden");
  }

  /**
   * Where an area of the file is on the sheet, in units of the sheet; null if the browser cannot open the file.
   * @param {Box} box in pixels of the file
   * @param {[width: number, height: number]} sheet
   * @returns {Promise<Box | null>}
   */
  async locate(box, sheet) {
    const loaded = await this.#loaded;
    if (!loaded) return null;
    const padding = (sheet[0] * parseFloat(getComputedStyle(this.#image).paddingLeft)) / this.#image.clientWidth;
    const [width, height] = loaded.size;
    const scale = Math.min((sheet[0] - 2 * padding) / width, (sheet[1] - 2 * padding) / height);
    const [left, top] = [(sheet[0] - width * scale) / 2, (sheet[1] - height * scale) / 2];
    return [left + box[0] * scale, top + box[1] * scale, box[2] * scale, box[3] * scale];
  }

  remove() {
    this.#file = null;
    this.#loaded = Promise.resolve(null);
    this.#outline.setAttribute("hidden", "");
    this.#image.hidden = true;
    this.#revokeSource();
    this.#image.removeAttribute("src");
  }

  /** @param {Blob} file */
  #setSource(file) {
    this.#revokeSource();
    this.#image.src = URL.createObjectURL(file);
    this.#image.hidden = false;
  }

  #revokeSource() {
    if (this.#image.src.startsWith("blob:")) URL.revokeObjectURL(this.#image.src);
  }
}

/**
 * Load a file without showing it; null if the browser cannot open it.
 * @param {Blob} file
 */
export async function loadPicture(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  const loaded = await toCopy(image);
  URL.revokeObjectURL(image.src);
  return loaded;
}

/**
 * @param {HTMLImageElement} image
 * @returns {Promise<LoadedPicture | null>}
 */
async function toCopy(image) {
  try {
    await image.decode();
  } catch {
    return null;
  }
  const { naturalWidth, naturalHeight } = image;
  const scale = Math.min(1, COPY_SIDE / Math.max(naturalWidth, naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(naturalHeight * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  /** @type {Blob | null} */
  const copy = await new Promise((resolve) => canvas.toBlob(resolve, "image/webp", 0.85));
  return copy && { copy, size: [naturalWidth, naturalHeight] };
}
