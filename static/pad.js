// The writing pad: turns pointers into strokes and shows them. Strokes are the truth, the canvas only a view of them.
// It speaks in events: "ink" whenever the strokes have changed.

import { PEN_WIDTH, SIDE, addPoint, trace } from "./ink.js";

export class Pad extends EventTarget {
  strokes = [];
  #canvas;
  #context;
  #pointer = null; // the pointer that draws; all others are palms and second fingers
  #drawn = 0; // id of the animation frame that will redraw, 0 if none is due

  constructor(canvas) {
    super();
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    canvas.addEventListener("pointerdown", (event) => this.#start(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#lift(event));
    canvas.addEventListener("pointercancel", (event) => this.#cancel(event));
    // iPadOS takes quick pencil strokes for its own handwriting input unless touchmove is refused.
    canvas.addEventListener("touchmove", (event) => event.preventDefault(), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    this.#watchSize();
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.#redrawSoon());
    }
  }

  get isEmpty() {
    return this.strokes.length === 0;
  }

  /** Take back the last stroke; one that is still being drawn included. */
  undo() {
    this.#pointer = null;
    if (this.strokes.pop()) this.#changed();
  }

  clear() {
    this.#pointer = null;
    this.strokes = [];
    this.#changed();
  }

  #start(event) {
    if (event.button !== 0) return;
    // A palm often lands before the pencil does: the pencil takes over, and the palm's mark goes.
    if (this.#pointer?.type === "touch" && event.pointerType === "pen") this.strokes.pop();
    else if (this.#pointer) return;
    event.preventDefault();
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointer = { id: event.pointerId, type: event.pointerType };
    this.strokes.push([]);
    this.#add(event);
  }

  #move(event) {
    if (!this.#draws(event)) return;
    // Between two frames a pen reports many positions. Safari has browsers in use that list none.
    const events = event.getCoalescedEvents?.() ?? [];
    this.#add(...(events.length ? events : [event]));
  }

  #lift(event) {
    if (!this.#draws(event)) return;
    this.#add(event);
    this.#pointer = null;
  }

  /** The system took the pointer away: it was a palm or a gesture, so its mark goes. */
  #cancel(event) {
    if (this.#draws(event)) this.undo();
  }

  #draws(event) {
    return this.#pointer?.id === event.pointerId;
  }

  #add(...events) {
    // Measured each time: the page may have been scrolled, zoomed or turned since the last one.
    const box = this.#canvas.getBoundingClientRect();
    const stroke = this.strokes.at(-1);
    const added = events.map((event) =>
      addPoint(
        stroke,
        ((event.clientX - box.left) / box.width) * SIDE,
        ((event.clientY - box.top) / box.height) * SIDE,
      ),
    );
    if (added.includes(true)) this.#changed();
  }

  #changed() {
    this.#redrawSoon();
    this.dispatchEvent(new Event("ink"));
  }

  #watchSize() {
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
    const watchRatio = () => {
      this.#fit();
      // Moved to another screen, or zoomed: the canvas may keep its size and yet have other pixels.
      matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", watchRatio, { once: true });
    };
    watchRatio();
  }

  /** One pixel of the canvas for each of the screen. */
  #fit() {
    const width = Math.round(this.#canvas.getBoundingClientRect().width * devicePixelRatio);
    if (width !== this.#canvas.width) this.#canvas.width = this.#canvas.height = width;
    this.#redraw();
  }

  #redrawSoon() {
    this.#drawn ||= requestAnimationFrame(() => this.#redraw());
  }

  #redraw() {
    cancelAnimationFrame(this.#drawn);
    this.#drawn = 0;
    const { width } = this.#canvas;
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, width);
    context.scale(width / SIDE, width / SIDE);
    context.lineWidth = PEN_WIDTH;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = getComputedStyle(this.#canvas).color;
    for (const stroke of this.strokes) {
      context.beginPath();
      trace(context, stroke);
      context.stroke();
    }
  }
}
