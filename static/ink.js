// Strokes as data, without canvas or events.

export const SHEET_HEIGHT = 280; // the sheet is as wide as there is room on the page
export const PEN_WIDTH = 15;

const MIN_STEP = 1; // closer points make no visible difference
// A tapping hand trembles by a few units. A stroke no larger than half the pen looks like a dot, and is sent as one.
const DOT_SIZE = PEN_WIDTH / 2;

/**
 * Append a pen's position to a stroke unless it is too close to the last. Returns whether it was appended.
 * @param {Stroke} stroke
 * @param {PenPosition} position
 */
export function addPoint(stroke, [x, y, pressure]) {
  const last = stroke.at(-1);
  if (last && Math.hypot(x - last[0], y - last[1]) < MIN_STEP) return false;
  stroke.push(pressure ? [round(x), round(y), round(0.5 + pressure)] : [round(x), round(y)]);
  return true;
}

/**
 * Strokes in the API's format: without widths, and with a single point for what looks like a dot.
 * @param {Stroke[]} strokes
 */
export function toApiStrokes(strokes) {
  return strokes.map((stroke) => {
    const [left, top, width, height] = bounds([stroke]);
    if (width <= DOT_SIZE && height <= DOT_SIZE) return [[left + width / 2, top + height / 2]];
    return stroke.map(([x, y]) => [x, y]);
  });
}

/**
 * Whether there are only dots, as when a pen is first put down.
 * @param {Stroke[]} strokes
 */
export const areDots = (strokes) => toApiStrokes(strokes).every((stroke) => stroke.length === 1);

/**
 * Whether an untrusted value is a drawing that is not empty.
 * @param {unknown} value
 * @returns {value is Stroke[]}
 */
export function isDrawing(value) {
  const isPoint = (/** @type {unknown} */ point) =>
    Array.isArray(point) && point.length > 1 && point.every(Number.isFinite);
  const isStroke = (/** @type {unknown} */ stroke) =>
    Array.isArray(stroke) && stroke.length > 0 && stroke.every(isPoint);
  return Array.isArray(value) && value.length > 0 && value.every(isStroke);
}

/**
 * The bounding box of all points.
 * @param {Stroke[]} strokes
 * @returns {Box}
 */
export function bounds(strokes) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of strokes.flat()) {
    [left, right] = [Math.min(left, x), Math.max(right, x)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
  }
  return [left, top, right - left, bottom - top];
}

/**
 * The first `count` points of a drawing, in the order in which they were drawn.
 * @param {Stroke[]} strokes
 * @param {number} count
 */
export function firstPoints(strokes, count) {
  const first = [];
  for (const stroke of strokes) {
    if (count <= 0) break;
    first.push(stroke.slice(0, count));
    count -= stroke.length;
  }
  return first;
}

/**
 * Trace a smooth line through a stroke's points on a canvas context or an equivalent.
 * @param {Pick<CanvasPath, "moveTo" | "quadraticCurveTo">} path
 * @param {Stroke} stroke
 */
export function trace(path, stroke) {
  path.moveTo(stroke[0][0], stroke[0][1]);
  for (const { control, end } of curves(stroke)) path.quadraticCurveTo(control[0], control[1], end[0], end[1]);
}

const probe = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(1, 1).getContext("2d"));
probe.lineWidth = 2 * PEN_WIDTH; // fingers are not precise
probe.lineCap = "round";

/**
 * Whether a stroke is at, or next to, a place on the sheet.
 * @param {Stroke} stroke
 * @param {number} x
 * @param {number} y
 */
export function isAt(stroke, x, y) {
  const path = new Path2D();
  trace(path, stroke);
  return probe.isPointInStroke(path, x, y);
}

/**
 * Draw a stroke, wider where the pen was pressed harder.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
 * @param {Stroke} stroke
 */
export function drawStroke(context, stroke) {
  if (stroke.every((point) => point.length === 2)) {
    context.lineWidth = PEN_WIDTH;
    context.beginPath();
    trace(context, stroke);
    context.stroke();
    return;
  }
  let [start] = stroke;
  for (const { control, end } of curves(stroke)) {
    context.lineWidth = PEN_WIDTH * (control[2] ?? 1);
    context.beginPath();
    context.moveTo(start[0], start[1]);
    context.quadraticCurveTo(control[0], control[1], end[0], end[1]);
    context.stroke();
    start = end;
  }
}

/**
 * Quadratic curves between the midpoints of a stroke's segments, with the points as control points.
 * @param {Stroke} stroke
 * @returns {Generator<{ control: Point, end: Point }>}
 */
function* curves(stroke) {
  for (let i = 1; i < stroke.length - 1; i += 1) {
    const [x, y] = stroke[i];
    const [nextX, nextY] = stroke[i + 1];
    yield { control: stroke[i], end: [(x + nextX) / 2, (y + nextY) / 2] };
  }
  // Canvas does not draw a line of length 0, so the line of a tap gets a tiny length.
  const last = stroke[stroke.length - 1];
  yield { control: last, end: stroke.length === 1 ? [last[0] + 0.01, last[1]] : last };
}

const round = (/** @type {number} */ value) => Math.round(value * 10) / 10;
