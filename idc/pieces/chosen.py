"""Which pieces the library builds with: its own, or yours.

    pieces.info_nce(similarity)                the chosen one; the library's, unless another was adopted
    pieces.adopt({"info_nce": mine})           from now on, what is built uses `mine`
    pieces.release()                           back to the library's

The library asks for a piece by this name wherever it puts a system together.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


class Chosen:
    """The pieces by name, as attributes. own: those that were adopted."""

    def __init__(self) -> None:
        self.own: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        library = importlib.import_module("idc.pieces")
        if name not in library.__all__:
            raise AttributeError(f"there is no piece “{name}”; there are {', '.join(library.__all__)}")
        return self.own.get(name, getattr(library, name))

    def adopt(self, own: Mapping[str, Any]) -> None:
        """Build with these from now on. Raises AttributeError for a name that is no piece."""
        for name in own:
            getattr(self, name)
        self.own |= own

    def release(self) -> None:
        """Build with the library's pieces again."""
        self.own.clear()


pieces = Chosen()
