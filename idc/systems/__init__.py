"""Published systems, by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from idc.errors import UserError

if TYPE_CHECKING:
    from idc.systems.system import System

SYSTEMS = {"scorer_cbr": "ScorerCBR", "clip4idc": "CLIP4IDC"}


def system_class(name: str) -> type[System]:
    """The class of a system. Raises UserError for an unknown name."""
    if name not in SYSTEMS:
        raise UserError(f"there is no system “{name}”; choose one of {', '.join(SYSTEMS)}.")
    module = importlib.import_module(f"idc.systems.{name}")
    return getattr(module, SYSTEMS[name])
