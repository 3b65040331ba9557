"""Commands of the library, called in this process as from a shell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest


def caller(command: ModuleType) -> Callable[..., int]:
    """call(monkeypatch, *words) runs a command's `main` with these words and returns its exit code."""

    def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
        monkeypatch.setattr(sys, "argv", [command.__name__, *map(str, words)])
        try:
            command.main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return call
