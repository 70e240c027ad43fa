"""The console and the pages in a real browser."""
