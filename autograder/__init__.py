"""Checks that teach, and the grader.

In a notebook: `from autograder import check, explain, hint, mine`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["check", "explain", "hint", "mine"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module “autograder” has no “{name}”")
    from autograder import notebook

    return getattr(notebook, name)
