// Strokes as data: no canvas, no events. A drawing is [stroke, ...], a stroke [point, ...], and a point [x, y] in units
// of a sheet SIDE wide and high, or [x, y, breadth] where a pen has felt how hard it was pressed.

export const SIDE = 280;
export const PEN_WIDTH = 15;

// Points closer than this to the one before add bytes, and nothing that can be seen.
const LEAST_STEP = 1;
// A hand that taps trembles by some pixels. What is no larger than half the pen looks like a dot, and is one.
const DOT = PEN_WIDTH / 2;

/** Add a point to a stroke, unless it lies on the last one; `pressure` is 0 to 1. Says whether it was added. */
export function addPoint(stroke, x, y, pressure) {
  const last = stroke.at(-1);
  if (last && Math.hypot(x - last[0], y - last[1]) < LEAST_STEP) return false;
  stroke.push(pressure ? [round(x), round(y), round(0.5 + pressure)] : [round(x), round(y)]);
  return true;
}

/** The strokes as the server takes them: places alone, and a dot for what looks like one. */
export function toQuestion(strokes) {
  return strokes.map((stroke) => {
    const [left, top, width, height] = bounds([stroke]);
    if (width <= DOT && height <= DOT) return [[left + width / 2, top + height / 2]];
    return stroke.map(([x, y]) => [x, y]);
  });
}

/** Whether a value from outside is a drawing with something in it. */
export function isDrawing(value) {
  const isPoint = (point) => Array.isArray(point) && point.length > 1 && point.every(Number.isFinite);
  const isStroke = (stroke) => Array.isArray(stroke) && stroke.length > 0 && stroke.every(isPoint);
  return Array.isArray(value) && value.length > 0 && value.every(isStroke);
}

/** Left, top, width and height of all points. */
export function bounds(strokes) {
  const points = strokes.flat();
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const [left, top] = [xs, ys].map((values) => values.reduce((a, b) => Math.min(a, b)));
  const [right, bottom] = [xs, ys].map((values) => values.reduce((a, b) => Math.max(a, b)));
  return [left, top, right - left, bottom - top];
}

/** The first `count` points of a drawing, in the order in which they were drawn. */
export function beginning(strokes, count) {
  const begun = [];
  for (const stroke of strokes) {
    if (count <= 0) break;
    begun.push(stroke.slice(0, count));
    count -= stroke.length;
  }
  return begun;
}

/** Lay a smooth line through a stroke's points onto a canvas context, or whatever else has these methods. */
export function trace(path, stroke) {
  path.moveTo(stroke[0][0], stroke[0][1]);
  for (const { handle, end } of curves(stroke)) path.quadraticCurveTo(handle[0], handle[1], end[0], end[1]);
}

/** Draw a stroke with a canvas context's pen, broader where it was pressed harder. */
export function paint(context, stroke) {
  if (stroke.every((point) => point.length === 2)) {
    context.lineWidth = PEN_WIDTH;
    context.beginPath();
    trace(context, stroke);
    context.stroke();
    return;
  }
  let [start] = stroke;
  for (const { handle, end } of curves(stroke)) {
    context.lineWidth = PEN_WIDTH * (handle[2] ?? 1);
    context.beginPath();
    context.moveTo(start[0], start[1]);
    context.quadraticCurveTo(handle[0], handle[1], end[0], end[1]);
    context.stroke();
    start = end;
  }
}

/** The curves of a stroke: from middle to middle of its segments, with the points as their handles. */
function* curves(stroke) {
  for (let i = 1; i < stroke.length - 1; i += 1) {
    const [x, y] = stroke[i];
    const [nextX, nextY] = stroke[i + 1];
    yield { handle: stroke[i], end: [(x + nextX) / 2, (y + nextY) / 2] };
  }
  // A tap is a dot. Canvas draws no line from a point to itself, so that line gets a length that nobody sees.
  const last = stroke.at(-1);
  yield { handle: last, end: stroke.length === 1 ? [last[0] + 0.01, last[1]] : last };
}

const round = (value) => Math.round(value * 10) / 10;
