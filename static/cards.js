// Small pictures in a row, each of which opens something.

import { PEN_WIDTH, bounds, trace } from "./ink.js";

const SVG = "http://www.w3.org/2000/svg";

/** A list item with a button on which stand a small picture and a caption. */
export function card(thumbnail, caption, label, open) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "card";
  button.ariaLabel = label;
  const text = document.createElement("span");
  text.textContent = caption;
  button.append(thumbnail, text);
  button.addEventListener("click", open);
  const item = document.createElement("li");
  item.append(button);
  return item;
}

/** A drawing, small. */
export function drawingThumbnail(strokes) {
  const [left, top, width, height] = bounds(strokes);
  const side = Math.max(width, height) + 2 * PEN_WIDTH;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", [left + (width - side) / 2, top + (height - side) / 2, side, side].join(" "));
  svg.setAttribute("aria-hidden", "true");
  for (const stroke of strokes) {
    const path = document.createElementNS(SVG, "path");
    const d = new PathText();
    trace(d, stroke);
    path.setAttribute("d", d.text);
    svg.append(path);
  }
  return svg;
}

/** A picture, small. */
export function pictureThumbnail(url) {
  const image = document.createElement("img");
  image.alt = "";
  image.src = url;
  // What is no picture leaves its place empty.
  image.addEventListener("error", () => { image.style.visibility = "hidden"; });
  return image;
}

/** Takes a path as a canvas does, and gives it as SVG writes it. */
class PathText {
  text = "";

  moveTo(x, y) {
    this.text += `M${x} ${y}`;
  }

  quadraticCurveTo(...numbers) {
    this.text += `Q${numbers.map((number) => number.toFixed(1)).join(" ")}`;
  }
}
