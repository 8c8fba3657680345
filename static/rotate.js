// Turns pictures that were photographed sideways.

/**
 * A copy of a picture file, turned clockwise by a quarter; null if the browser cannot open it.
 * @param {Blob} file
 */
export async function rotate(file) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return null;
  const canvas = new OffscreenCanvas(picture.height, picture.width);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.rotate(Math.PI / 2);
  context.drawImage(picture, 0, -picture.height);
  // A photograph as PNG would be too large to send.
  const type = file.type === "image/jpeg" ? file.type : "image/png";
  const name = file instanceof File ? file.name : "picture";
  return new File([await canvas.convertToBlob({ type, quality: 0.95 })], name, { type });
}
