"""Problem set 5."""

EXERCISES: tuple = ()
