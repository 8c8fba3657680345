// The keyboard draws: arrow keys move a pen, the space bar puts it down and lifts it.

import { SIDE } from "./ink.js";

const STEP = 10; // units of the sheet
const FINE_STEP = 2; // with Shift
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Let keys draw while the pad's canvas has the focus; `say` is told "down" or "up" for a screen reader. */
export function drawWithKeys(canvas, pad, drawing, say) {
  const held = new Set(); // arrow keys that are down: two of them move the pen aslant
  let [x, y] = [SIDE / 2, SIDE / 2];
  let isDown = false;

  const show = () => pad.showPen({ x, y, isDown: isDown && drawing.isOpen });
  const within = (value) => Math.min(SIDE, Math.max(0, value));

  function put() {
    isDown = true;
    drawing.begin();
    drawing.extend([x, y]);
    say("down");
  }

  function lift() {
    if (isDown && drawing.isOpen) drawing.end();
    isDown = false;
  }

  function move(step) {
    for (const key of held) {
      x = within(x + WAYS[key][0] * step);
      y = within(y + WAYS[key][1] * step);
    }
    if (isDown && drawing.isOpen) drawing.extend([x, y]);
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in WAYS) {
      held.add(event.key);
      move(event.shiftKey ? FINE_STEP : STEP);
    } else if (event.key === " ") {
      if (event.repeat) return;
      if (isDown && drawing.isOpen) {
        lift();
        say("up");
      } else if (!drawing.isOpen) {
        put();
      }
    } else {
      return;
    }
    event.preventDefault();
    show();
  });
  canvas.addEventListener("keyup", (event) => held.delete(event.key));
  canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) show(); });
  canvas.addEventListener("blur", () => {
    lift();
    held.clear();
    pad.showPen(null);
  });
}
