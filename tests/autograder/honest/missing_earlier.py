"""Only the last problem set is handed in: what it builds on was never written."""

FULL = ("ps5.1", "ps5.2", "ps5.3", "ps5.4")
