"""One attack a file: what it does, which exercise it is after, and how that must end."""
