"""Problem set 4."""

EXERCISES: tuple = ()
