// Puts the pad where the visitor wants it, before anything is painted. static/page.js has the switch for it.
try {
  document.documentElement.dataset.side = JSON.parse(localStorage.getItem("digits.side"));
} catch {
  // The browser keeps nothing: the pad is where it is.
}
