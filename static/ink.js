// Strokes as data: no canvas, no events. A drawing is [[[x, y], ...], ...] in units of a sheet SIDE wide and high.

export const SIDE = 280;
export const PEN_WIDTH = 15;

// Points closer than this to the one before add bytes, and nothing that can be seen.
const LEAST_STEP = 1;

/** Add a point to a stroke, unless it lies on the last one. Says whether it was added. */
export function addPoint(stroke, x, y) {
  const last = stroke.at(-1);
  if (last && Math.hypot(x - last[0], y - last[1]) < LEAST_STEP) return false;
  stroke.push([round(x), round(y)]);
  return true;
}

/** Lay a smooth line through a stroke's points onto a canvas context or a Path2D. */
export function trace(path, stroke) {
  const [[startX, startY]] = stroke;
  path.moveTo(startX, startY);
  // Curves run from middle to middle of the segments, with the points as their handles.
  for (let i = 1; i < stroke.length - 1; i += 1) {
    const [x, y] = stroke[i];
    const [nextX, nextY] = stroke[i + 1];
    path.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  }
  // A tap is a dot. Canvas draws no line from a point to itself, so that line gets a length that nobody sees.
  const [endX, endY] = stroke.at(-1);
  path.lineTo(endX + (stroke.length === 1 ? 0.01 : 0), endY);
}

const round = (value) => Math.round(value * 10) / 10;
