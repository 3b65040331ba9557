"""A course kit on image change captioning: look at two pictures, say what changed."""

__version__ = "0.1.0"
