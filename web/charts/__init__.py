"""Charts as plain geometry: `templates/_charts.html` draws them as SVG, in the colours and the language of the page."""
