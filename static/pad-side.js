// The side of the pad, which the visitor chooses: it is set before the first paint.
{
  const { dataset } = document.documentElement;
  try {
    dataset.padSide = JSON.parse(localStorage.getItem("digits.side") ?? '"left"');
  } catch {
    // Storage is not available: the pad stays on the left.
  }
  addEventListener("DOMContentLoaded", () => {
    const toggle = /** @type {HTMLInputElement} */ (document.getElementById("pad-side"));
    toggle.checked = dataset.padSide === "right";
    toggle.addEventListener("change", () => {
      dataset.padSide = toggle.checked ? "right" : "left";
      try {
        localStorage.setItem("digits.side", JSON.stringify(dataset.padSide));
      } catch {}
    });
  });
}
