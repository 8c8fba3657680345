// Thumbnails on buttons, for lists of drawings and pictures.

import { bounds, PEN_WIDTH, trace } from "./ink.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * A list item with a button that shows a thumbnail and a caption.
 * @param {Element} thumbnail
 * @param {string} caption
 * @param {() => void} open
 */
export function thumbnailItem(thumbnail, caption, open) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "card";
  const text = document.createElement("span");
  text.textContent = caption;
  button.append(thumbnail, text);
  button.addEventListener("click", open);
  const item = document.createElement("li");
  item.append(button);
  return { item, button };
}

/** @param {Subject} subject */
export function thumbnailOf(subject) {
  return "strokes" in subject ? drawingThumbnail(subject.strokes) : pictureThumbnail(subject.picture);
}

/** @param {Stroke[]} strokes */
function drawingThumbnail(strokes) {
  const [left, top, width, height] = bounds(strokes);
  const side = Math.max(width, height) + 2 * PEN_WIDTH;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", [left + (width - side) / 2, top + (height - side) / 2, side, side].join(" "));
  svg.setAttribute("aria-hidden", "true");
  for (const stroke of strokes) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", toPathData(stroke));
    svg.append(path);
  }
  return svg;
}

/** @param {string} url */
export function pictureThumbnail(url) {
  const image = document.createElement("img");
  image.alt = "";
  image.src = url;
  // Hides the browser's icon for a broken image.
  image.addEventListener("error", () => {
    image.style.visibility = "hidden";
  });
  return image;
}

/** @param {Stroke} stroke */
function toPathData(stroke) {
  let data = "";
  trace(
    {
      moveTo: (x, y) => {
        data += `M${x} ${y}`;
      },
      quadraticCurveTo: (...numbers) => {
        data += `Q${numbers.map((number) => number.toFixed(1)).join(" ")}`;
      },
    },
    stroke,
  );
  return data;
}
