"""Problem set 2."""

EXERCISES: tuple = ()
