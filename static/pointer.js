// Mouse, fingers and pens draw.

// Before the frame in which pointermove would tell it: the answer can be there one frame earlier. Only on secure pages.
const MOVED = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";

/** Let whatever points at the pad's canvas draw. */
export function drawWithPointers(canvas, pad, drawing) {
  let pointer = null; // the one that draws; all others are palms and second fingers

  const draws = (event) => drawing.isOpen && pointer?.pointerId === event.pointerId;
  const extend = (...events) => drawing.extend(...events.map((event) => [...pad.place(event), pressure(event)]));

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    // A palm often lands before the pencil does: the pencil takes over, and the palm's mark goes.
    if (drawing.isOpen && pointer?.pointerType === "touch" && event.pointerType === "pen") drawing.drop();
    if (drawing.isOpen) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    pointer = event;
    drawing.begin();
    extend(event);
  });
  canvas.addEventListener(MOVED, (event) => {
    if (!draws(event)) return;
    // Between two frames a pen reports many positions. Safari has browsers in use that list none.
    const events = event.getCoalescedEvents?.() ?? [];
    extend(...(events.length ? events : [event]));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!draws(event)) return;
    extend(event);
    drawing.end();
  });
  // The system took the pointer away: it was a palm or a gesture, so its mark goes.
  canvas.addEventListener("pointercancel", (event) => { if (draws(event)) drawing.drop(); });
  // iPadOS takes quick pencil strokes for its own handwriting input unless touchmove is refused.
  canvas.addEventListener("touchmove", (event) => {
    if (event.touches.length === 1 || !isMagnified()) event.preventDefault();
  }, { passive: false });
  // Two fingers are a palm and a pen, unless the page was magnified: then they may be the way back.
  visualViewport?.addEventListener("resize", () => canvas.parentElement.classList.toggle("magnified", isMagnified()));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
}

const isMagnified = () => visualViewport?.scale > 1;

// Mice and most screens report no pressure, but a number all the same.
const pressure = (event) => (event.pointerType === "pen" ? event.pressure : 0);
