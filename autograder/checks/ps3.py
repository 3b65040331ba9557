"""Problem set 3."""

EXERCISES: tuple = ()
