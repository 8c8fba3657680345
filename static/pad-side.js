// Puts the pad on the side that the visitor chose, before the first paint. The switch for it is in page.js.
try {
  document.documentElement.dataset.padSide = JSON.parse(localStorage.getItem("digits.side") ?? '"left"');
} catch {
  // Storage is not available: the pad stays on the left.
}
