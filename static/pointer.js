// Drawing with a mouse, fingers or a pen.

// Fires before the frame in which pointermove would, so the answer can be there one frame earlier. Only on secure pages.
const MOVE = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Pad} pad
 * @param {Sketch} sketch
 */
export function drawWithPointers(canvas, pad, sketch) {
  /** @type {PointerEvent | null} The pointer that draws; all others are palms and second fingers. */
  let pointer = null;

  const draws = (/** @type {PointerEvent} */ event) => sketch.isDrawing && pointer?.pointerId === event.pointerId;
  /** @type {(event: PointerEvent) => PenPosition} */
  const toPosition = (event) => [...pad.locate(event), pressure(event)];

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    // A palm often lands before the pencil does: the pencil takes over, and the palm's mark goes.
    if (sketch.isDrawing && pointer?.pointerType === "touch" && event.pointerType === "pen") sketch.dropStroke();
    if (sketch.isDrawing) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    pointer = event;
    sketch.beginStroke();
    sketch.extend(toPosition(event));
  });
  canvas.addEventListener(MOVE, (event) => {
    if (!(event instanceof PointerEvent) || !draws(event)) return;
    // Between two frames a pen reports many positions. Some versions of Safari list none.
    const events = event.getCoalescedEvents?.() ?? [];
    sketch.extend(...(events.length ? events : [event]).map(toPosition));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!draws(event)) return;
    sketch.extend(toPosition(event));
    sketch.endStroke();
  });
  // The system took the pointer away: it was a palm or a gesture, so its mark goes.
  canvas.addEventListener("pointercancel", (event) => {
    if (draws(event)) sketch.dropStroke();
  });
  // iPadOS takes quick pencil strokes for its own handwriting input unless touchmove is prevented.
  const refuseTouch = (/** @type {TouchEvent} */ event) => {
    if (event.touches.length === 1 || !isMagnified()) event.preventDefault();
  };
  canvas.addEventListener("touchmove", refuseTouch, { passive: false });
  // Two fingers are a palm and a pen, unless the page is magnified: then they may be the only way back.
  visualViewport?.addEventListener("resize", () => canvas.parentElement?.classList.toggle("magnified", isMagnified()));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
}

const isMagnified = () => Number(visualViewport?.scale) > 1;

// Mice and most touch screens report a number although they measure no pressure.
const pressure = (/** @type {PointerEvent} */ event) => (event.pointerType === "pen" ? event.pressure : 0);
