"""All five problem sets in one hand-in, all right."""

from autograder.checks import exercises

FULL = tuple(exercises())
