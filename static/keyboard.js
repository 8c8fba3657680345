// Drawing with the keyboard: arrow keys move a pen, the space bar lowers and lifts it, Delete erases the stroke under it.

import { SHEET_HEIGHT } from "./ink.js";

const STEP = 10; // units of the sheet
const FINE_STEP = 2; // with Shift
/** @type {Record<string, [dx: number, dy: number]>} */
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @param {HTMLCanvasElement} canvas takes the keys while it has the focus
 * @param {Pad} pad
 * @param {Sketch} sketch
 * @param {(event: "pen_down" | "pen_up") => void} announce
 */
export function drawWithKeys(canvas, pad, sketch, announce) {
  /** @type {Set<string>} Arrow keys that are down: two of them move the pen diagonally. */
  const held = new Set();
  let [x, y] = [SHEET_HEIGHT / 2, SHEET_HEIGHT / 2]; // on a wide sheet, where a number begins
  let isDown = false;

  const isDrawing = () => isDown && sketch.isDrawing;

  function lower() {
    isDown = true;
    sketch.beginStroke();
    sketch.extend([x, y]);
    announce("pen_down");
  }

  function lift() {
    if (isDrawing()) sketch.endStroke();
    isDown = false;
  }

  function toggle() {
    if (isDrawing()) {
      lift();
      announce("pen_up");
    } else if (!sketch.isDrawing) {
      lower();
    }
  }

  /** @param {number} step */
  function move(step) {
    for (const key of held) {
      const [dx, dy] = DIRECTIONS[key];
      [x, y] = pad.clamp([x + dx * step, y + dy * step]);
    }
    if (isDrawing()) sketch.extend([x, y]);
  }

  const showCursor = () => pad.showCursor({ x, y, isDown: isDrawing() });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    [x, y] = pad.clamp([x, y]); // the sheet may have become smaller
    if (event.key in DIRECTIONS) {
      held.add(event.key);
      move(event.shiftKey ? FINE_STEP : STEP);
    } else if (event.key === " ") {
      if (!event.repeat) toggle();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      lift();
      sketch.erase(x, y);
    } else {
      return;
    }
    event.preventDefault();
    showCursor();
  });
  canvas.addEventListener("keyup", (event) => held.delete(event.key));
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible")) showCursor();
  });
  canvas.addEventListener("blur", () => {
    lift();
    held.clear();
    pad.showCursor(null);
  });
}
