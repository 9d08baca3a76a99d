"""The explorer in the browser, and the same as JSON routes."""
