// Drawing with a mouse, fingers or a pen.

// Fires before the frame in which pointermove would, so the answer can be shown one frame earlier. HTTPS only.
const MOVE = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";

const PEN_ERASER = 5; // the button that a pen reports when it is turned round: Pointer Events, 10.1.2

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Pad} pad
 * @param {Sketch} sketch
 * @param {() => boolean} isEraserChosen
 */
export function drawWithPointers(canvas, pad, sketch, isEraserChosen) {
  /** @type {PointerEvent | null} The pointer that isActive; others, such as palms and second fingers, are ignored. */
  let pointer = null;
  let isErasing = false;

  const isActive = (/** @type {PointerEvent} */ event) =>
    (sketch.isDrawing || isErasing) && pointer?.pointerId === event.pointerId;
  /** @type {(event: PointerEvent) => PenPosition} */
  const toPosition = (event) => [...pad.clamp(pad.locate(event)), pressure(event)];

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 && event.button !== PEN_ERASER) return;
    // A palm often touches the screen before the pencil: the pencil takes over, and the palm's stroke is dropped.
    if (sketch.isDrawing && pointer?.pointerType === "touch" && event.pointerType === "pen") sketch.dropStroke();
    if (sketch.isDrawing || isErasing) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    pointer = event;
    isErasing = event.button === PEN_ERASER || isEraserChosen();
    if (isErasing) {
      sketch.erase(...pad.locate(event));
    } else {
      sketch.beginStroke();
      sketch.extend(toPosition(event));
    }
  });
  canvas.addEventListener(MOVE, (event) => {
    if (!(event instanceof PointerEvent) || !isActive(event)) return;
    // A pen reports several positions per frame. Some versions of Safari return an empty list.
    const coalesced = event.getCoalescedEvents?.() ?? [];
    const events = coalesced.length ? coalesced : [event];
    if (isErasing) for (const at of events) sketch.erase(...pad.locate(at));
    else sketch.extend(...events.map(toPosition));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!isActive(event)) return;
    if (!isErasing) {
      sketch.extend(toPosition(event));
      sketch.endStroke();
    }
    isErasing = false;
  });
  // The system cancels palms and gestures, so their stroke is dropped.
  canvas.addEventListener("pointercancel", (event) => {
    if (!isActive(event)) return;
    if (!isErasing) sketch.dropStroke();
    isErasing = false;
  });
  // iPadOS treats quick pencil strokes as its own handwriting input unless touchmove is prevented.
  const preventTouch = (/** @type {TouchEvent} */ event) => {
    if (event.touches.length === 1 || !isMagnified()) event.preventDefault();
  };
  canvas.addEventListener("touchmove", preventTouch, { passive: false });
  // Two touches are a palm and a pen, unless the page is magnified: then they are needed to zoom out.
  visualViewport?.addEventListener("resize", () => canvas.parentElement?.classList.toggle("magnified", isMagnified()));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
}

const isMagnified = () => Number(visualViewport?.scale) > 1;

// Mice and most touch screens report a number although they measure no pressure.
const pressure = (/** @type {PointerEvent} */ event) => (event.pointerType === "pen" ? event.pressure : 0);
