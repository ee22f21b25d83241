"""The report as a PDF: `document` puts `sections` together, from `chart`, `styles` and `text`."""
